#pragma once

#include <vector>

#include "libcommon/async/loop.h"
#include "libcommon/ipc/server.h"
#include "queue-manager/admin.h"
#include "queue-manager/dispatcher.h"
#include "queue-manager/etrn_rate.h"
#include "queue-manager/intake.h"
#include "queue-manager/overview.h"
#include "queue-manager/quarantine.h"
#include "queue-manager/steering.h"

namespace postrider::queue_manager {

/// Whether a peer in `role` may send this frame: the whole authority of every peer. Pure.
[[nodiscard]] bool may_send(wire::Role role, wire::QueueRequest::BodyCase frame);

/// Handles queue.sock: every frame of every peer goes through on_request().
class Server {
  public:
    Server(async::Loop& loop, const Settings& settings, Queue& queue, Intake& intake, Dispatcher& dispatcher,
           Admin& admin, Quarantine& quarantine, Steering& steering, Overview& overview)
        : loop_(loop),
          queue_(queue),
          intake_(intake),
          dispatcher_(dispatcher),
          admin_(admin),
          quarantine_(quarantine),
          steering_(steering),
          overview_(overview),
          etrn_rate_(settings.etrn_interval) {}

    /// What ipc::Server asks of its handler.
    void on_connect(QueuePeer& peer);
    [[nodiscard]] Result<void> on_request(QueuePeer& peer, wire::QueueRequest&& request,
                                          const std::vector<Fd>& descriptors);
    void on_disconnect(QueuePeer& peer);

    /// A frame of a peer that may send it, wherever it is connected.
    [[nodiscard]] Result<void> dispatch(QueuePeer& peer, wire::QueueRequest&& request);

  private:
    Result<void> administer(QueuePeer& peer, wire::QueueRequest&& request);
    Result<void> etrn(QueuePeer& peer, std::uint64_t id, const wire::Etrn& frame);

    async::Loop& loop_;
    Queue& queue_;
    Intake& intake_;
    Dispatcher& dispatcher_;
    Admin& admin_;
    Quarantine& quarantine_;
    Steering& steering_;
    Overview& overview_;
    EtrnRate etrn_rate_;
};

/// Handles queue-read.sock, where there are readers and nobody else, not even root in another role: what is
/// connected here can change nothing, and keeps nobody from queue.sock.
class ReadServer {
  public:
    explicit ReadServer(Server& server) : server_(server) {}

    void on_connect(QueuePeer& /*peer*/) {}
    [[nodiscard]] Result<void> on_request(QueuePeer& peer, wire::QueueRequest&& request,
                                          const std::vector<Fd>& descriptors);
    void on_disconnect(QueuePeer& /*peer*/) {}

  private:
    Server& server_;
};

}  // namespace postrider::queue_manager
