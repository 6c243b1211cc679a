#pragma once

#include <string>
#include <vector>

#include "libcommon/async/loop.h"
#include "libcommon/config/limits.h"
#include "libcommon/ipc/auth.pb.h"
#include "libcommon/ipc/client.h"
#include "smtpd/peers.h"

namespace postrider::wire {

/// Overwrites what the client said; ipc::Client calls it once the request is sent.
void wipe_secrets(AuthRequest& request);

}  // namespace postrider::wire

namespace postrider::smtpd {

/// authd at the other end of a channel that the listener hands over, again whenever it breaks.
class AuthLink : public Logins {
  public:
    using Client = ipc::Client<wire::AuthRequest, wire::AuthReply>;

    /// `connect` gives a connected socket. Takes auth_timeout, ipc_timeout and respawn_delay of `limits`.
    AuthLink(async::Loop& loop, Client::Connect connect, const config::Limits& limits);

    /// Begins to connect; returns at once. Not called where there is no `auth` line: then mechanisms() stays
    /// empty.
    void start() { client_.start(); }

    /// What authd last offered; it stays while authd is being restarted. The -PLUS mechanisms are among them:
    /// to be offered to those clients only whose TlsSession::channel_binding is not empty.
    [[nodiscard]] const std::vector<std::string>& mechanisms() const override { return mechanisms_; }
    async::Task<AuthStep> begin(wire::AuthBegin begin, std::uint64_t& exchange) override;
    async::Task<AuthStep> respond(std::uint64_t exchange, std::string data) override;
    void cancel(std::uint64_t exchange) override;

  private:
    void take_notice(const wire::AuthReply& notice);
    async::Task<AuthStep> ask(wire::AuthRequest request);

    async::Loop& loop_;
    Milliseconds timeout_;
    Milliseconds restart_time_;
    std::uint64_t next_exchange_ = 1;
    std::vector<std::string> mechanisms_;
    Client client_;  // last: its notices use the others
};

}  // namespace postrider::smtpd
