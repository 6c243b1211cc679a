#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libcommon/async/loop.h"
#include "libcommon/config/settings.h"
#include "libcommon/ipc/client.h"
#include "libcommon/ipc/key.pb.h"
#include "libcommon/tls/server_context.h"
#include "smtpd/peers.h"

namespace postrider::smtpd {

/// keyd at the other end of a channel that the listener hands over, again whenever it breaks; and TLS with
/// the keys that came from there. The last whole ring of keys is in force: while keyd is away nothing
/// changes, and a session keeps the keys that it began with.
class KeyLink : public Tls {
  public:
    using Client = ipc::Client<wire::KeyRequest, wire::KeyReply>;

    /// `connect` gives a connected socket. `settings` outlives the link. tls::prepare_library() must have
    /// been called, before the process confined itself.
    KeyLink(async::Loop& loop, Client::Connect connect, const config::Settings& settings);

    /// Begins to connect, if a certificate is configured; returns at once.
    void start();

    /// Whether there is a certificate to offer: one is configured, and keyd has sent it.
    [[nodiscard]] bool ready() const override { return !contexts_.empty(); }
    async::Task<Result<TlsSession>> accept(async::Stream& stream, const config::Listener& listener,
                                           async::Deadline deadline) override;

  private:
    using Contexts = std::map<std::string, std::shared_ptr<const tls::ServerContext>>;  // by endpoint

    void take(wire::KeyReply&& reply, const std::vector<Fd>& descriptors);
    Result<void> take_pair(const wire::KeyPair& pair, const std::vector<Fd>& descriptors);
    Result<void> take_authorities(const std::vector<Fd>& descriptors);
    Result<void> complete(const wire::KeyRingComplete& ring);
    void forget_incomplete();
    [[nodiscard]] Result<Contexts> make_contexts(const std::shared_ptr<const tls::KeyRing>& ring) const;

    const config::Settings& settings_;
    Contexts contexts_;
    // What has come of the next ring.
    std::vector<std::shared_ptr<const tls::Certificate>> certificates_;
    std::vector<tls::CertificateHandle> authorities_;
    bool refused_ = false;  // a part of it was of no use
    Client client_;         // last: it calls into what is above
};

}  // namespace postrider::smtpd
