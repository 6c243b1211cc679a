#pragma once

#include "libcommon/async/loop.h"
#include "libcommon/config/limits.h"
#include "libcommon/ipc/client.h"
#include "libcommon/ipc/router.pb.h"
#include "smtpd/peers.h"

namespace postrider::smtpd {

/// The router at the other end of a channel that the listener hands over, again whenever it breaks.
class RouterLink : public Router {
  public:
    using Client = ipc::Client<wire::RouterRequest, wire::RouterReply>;

    /// `connect` gives a connected socket. Takes ipc_timeout and respawn_delay of `limits`.
    RouterLink(async::Loop& loop, Client::Connect connect, const config::Limits& limits);

    /// Begins to connect; returns at once.
    void start() { client_.start(); }

    async::Task<ClientVerdict> may_connect(wire::Client client, bool begins_session) override;
    async::Task<Verdict> may_send(wire::Client client, std::string sender) override;
    async::Task<Verdict> may_receive(wire::Client client, std::string sender, std::string recipient) override;
    async::Task<VerifiedAddress> verify(wire::Client client, std::string address, bool expand) override;
    async::Task<Verdict> may_start_queue(wire::Client client, std::string domain) override;

  private:
    async::Task<Verdict> ask(wire::RouterRequest request);
    async::Task<bool> connection();
    async::Task<Result<Client::Answer>> call(wire::RouterRequest request);

    async::Loop& loop_;
    Milliseconds timeout_;
    Milliseconds restart_time_;
    Client client_;
};

/// A verdict as the router sent it. What makes no sense as a reply to a client becomes 451 4.3.0: a router
/// that is out of order must neither open a relay nor lose mail.
[[nodiscard]] Verdict verdict_from_wire(const wire::Verdict& verdict);

}  // namespace postrider::smtpd
