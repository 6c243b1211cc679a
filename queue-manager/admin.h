#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libcommon/async/loop.h"
#include "queue-manager/dispatcher.h"
#include "queue-manager/intake.h"
#include "queue-manager/listing.h"
#include "queue-manager/queue.h"
#include "queue-manager/spool.h"

namespace postrider::queue_manager {

/// Answers the administrator: what is in the queue, one message's file, try now, counters. Only root and the
/// queue-manager's own user get here.
class Admin {
  public:
    Admin(async::Loop& loop, Spool& spool, Queue& queue, const Dispatcher& dispatcher, const Intake& intake)
        : loop_(loop), spool_(spool), queue_(queue), dispatcher_(dispatcher), intake_(intake) {}
    Admin(const Admin&) = delete;
    Admin& operator=(const Admin&) = delete;

    /// Lists the messages that match, oldest first, in several frames; at a speed the peer reads with. A
    /// message with many recipients is continued by further entries with the same id.
    async::Task<void> list(QueuePeer& peer, std::uint64_t request, wire::ListQueue asked);
    /// Sends a descriptor of the message's file, also of one in hold/, failed/ or corrupt/.
    void open_file(QueuePeer& peer, std::uint64_t request, const wire::OpenQueueFile& frame);
    /// Tries what matches now, of a `domain` only the deliveries to it, and answers with the number of
    /// messages. What is held by an administrator, or whose domain is suspended, is only counted. If the
    /// number is not known by `answer_by`, the answer says so, and the work goes on.
    async::Task<void> flush(QueuePeer& peer, std::uint64_t request, wire::Flush asked,
                            async::Deadline answer_by = std::nullopt);
    /// Sends all counters.
    void status(QueuePeer& peer, std::uint64_t request);

    /// Messages in the queue that may match, in the order of their ids.
    async::Task<std::vector<QueueId>> candidates(wire::Selector selector);
    /// The listings of the first of these, as many as are one batch.
    async::Task<Batch> read_entries(std::vector<QueueId> ids);

  private:
    async::Loop& loop_;
    Spool& spool_;
    Queue& queue_;
    const Dispatcher& dispatcher_;
    const Intake& intake_;
};

/// The listing of a message in memory. Pure.
[[nodiscard]] wire::QueueEntry entry_of(const Message& message);

}  // namespace postrider::queue_manager
