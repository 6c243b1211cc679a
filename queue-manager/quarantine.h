#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "libcommon/async/loop.h"
#include "libcommon/async/scope.h"
#include "libcommon/async/sync.h"
#include "queue-manager/dispatcher.h"
#include "queue-manager/listing.h"
#include "queue-manager/queue.h"
#include "queue-manager/spool.h"

namespace postrider::queue_manager {

/// The messages that the policy keeps back, for the administrator: lists, releases and deletes them. They
/// are in hold/ and nowhere in memory; so each question reads the folder, a batch at a time, and neither
/// their number nor their size costs memory.
///
/// A change, once begun, is carried to its end even if whoever asked for it goes away: a message that left
/// hold/ must not wait for the next start to be found.
class Quarantine {
  public:
    /// References outlive the object.
    Quarantine(async::Loop& loop, Spool& spool, Queue& queue)
        : loop_(loop), spool_(spool), queue_(queue), tasks_(loop) {}
    Quarantine(const Quarantine&) = delete;
    Quarantine& operator=(const Quarantine&) = delete;

    /// Answers one question of an administrator, at the speed he reads with.
    async::Task<void> serve(QueuePeer& peer, std::uint64_t request, wire::Quarantine asked);

    /// Changes that are under way.
    [[nodiscard]] std::size_t changing() const { return tasks_.size(); }

  private:
    /// What becomes of a batch; shared by the task that changes it and the one that waits for that.
    struct Change {
        explicit Change(async::Loop& loop) : ended(loop) {}
        wire::Quarantine::Action action = wire::Quarantine::LIST;
        std::uint32_t by = 0;  // the user who asked
        std::vector<QueueId> ids;
        std::size_t failed = 0;
        bool done = false;
        async::Condition ended;
    };

    async::Task<Batch> matching(std::vector<QueueId> ids, wire::Selector selector);
    async::Task<void> list(QueuePeer& peer, std::uint64_t request, wire::Selector selector,
                           std::vector<QueueId> ids);
    async::Task<void> change_all(QueuePeer& peer, std::uint64_t request, wire::Quarantine asked,
                                 std::vector<QueueId> ids);
    async::Task<void> change(std::shared_ptr<Change> change);

    async::Loop& loop_;
    Spool& spool_;
    Queue& queue_;
    async::Scope tasks_;  // last: its tasks use what is above
};

}  // namespace postrider::queue_manager
