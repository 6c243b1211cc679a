#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "libcommon/async/loop.h"
#include "libcommon/async/sync.h"
#include "queue-manager/admin.h"
#include "queue-manager/dispatcher.h"
#include "queue-manager/queue.h"
#include "queue-manager/spool.h"

namespace postrider::queue_manager {

/// Carries out what an administrator wants done with many messages: finds them, gives an order for each, and
/// says how many there were when all of it is on stable storage. Orders that were given are carried out even
/// if whoever gave them goes away.
class Steering {
  public:
    /// References outlive the object.
    Steering(async::Loop& loop, Spool& spool, Queue& queue, Admin& admin)
        : loop_(loop), spool_(spool), queue_(queue), admin_(admin) {}
    Steering(const Steering&) = delete;
    Steering& operator=(const Steering&) = delete;

    /// Answers one Steer frame.
    async::Task<void> serve(QueuePeer& peer, std::uint64_t request, wire::Steer asked);

  private:
    /// What came of it so far; shared with the orders, which may outlive the question.
    struct Progress {
        explicit Progress(async::Loop& loop) : changed(loop) {}
        wire::Steered counts;
        std::size_t open = 0;  // orders that have not ended
        async::Condition changed;
    };
    using Shared = std::shared_ptr<Progress>;

    async::Task<bool> steer_queue(QueuePeer& peer, std::uint64_t request, const wire::Steer& asked,
                                  Shared progress);
    async::Task<bool> steer_kept(QueuePeer& peer, std::uint64_t request, const wire::Steer& asked,
                                 Folder folder, Shared progress);
    async::Task<bool> wait_until_open(QueuePeer& peer, std::uint64_t request, Shared progress,
                                      std::size_t most);
    void give(QueuePeer& peer, const wire::Steer& asked, QueueId id, std::optional<Folder> kept,
              const Shared& progress);

    async::Loop& loop_;
    Spool& spool_;
    Queue& queue_;
    Admin& admin_;
};

/// Whether what is asked for makes sense: an action that there is for messages in that place, and a text that
/// fits. Error: Permanent, and says why. Pure.
[[nodiscard]] Result<void> check_steer(const wire::Steer& asked);

}  // namespace postrider::queue_manager
