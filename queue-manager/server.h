#pragma once

#include <vector>

#include "libcommon/async/loop.h"
#include "libcommon/ipc/server.h"
#include "queue-manager/admin.h"
#include "queue-manager/dispatcher.h"
#include "queue-manager/etrn_rate.h"
#include "queue-manager/intake.h"
#include "queue-manager/quarantine.h"

namespace postrider::queue_manager {

/// Whether a peer in `role` may send this frame: the whole authority of every peer. Pure.
[[nodiscard]] bool may_send(wire::Role role, wire::QueueRequest::BodyCase frame);

/// Handles queue.sock: every frame of every peer goes through on_request().
class Server {
  public:
    Server(async::Loop& loop, const Settings& settings, Queue& queue, Intake& intake, Dispatcher& dispatcher,
           Admin& admin, Quarantine& quarantine)
        : loop_(loop),
          queue_(queue),
          intake_(intake),
          dispatcher_(dispatcher),
          admin_(admin),
          quarantine_(quarantine),
          etrn_rate_(settings.etrn_interval) {}

    /// What ipc::Server asks of its handler.
    void on_connect(QueuePeer& peer);
    [[nodiscard]] Result<void> on_request(QueuePeer& peer, wire::QueueRequest&& request,
                                          const std::vector<Fd>& descriptors);
    void on_disconnect(QueuePeer& peer);

  private:
    Result<void> etrn(QueuePeer& peer, std::uint64_t id, const wire::Etrn& frame);

    async::Loop& loop_;
    Queue& queue_;
    Intake& intake_;
    Dispatcher& dispatcher_;
    Admin& admin_;
    Quarantine& quarantine_;
    EtrnRate etrn_rate_;
};

}  // namespace postrider::queue_manager
