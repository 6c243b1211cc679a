#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libcommon/async/loop.h"
#include "queue-manager/dispatcher.h"
#include "queue-manager/queue.h"
#include "queue-manager/spool.h"

namespace postrider::queue_manager {

/// Answers what an administrator asks about the queue as a whole, and about one message, from memory: no
/// queue file is read but that of a message that is traced.
class Overview {
  public:
    /// References outlive the object.
    Overview(async::Loop& loop, Spool& spool, Queue& queue) : loop_(loop), spool_(spool), queue_(queue) {}
    Overview(const Overview&) = delete;
    Overview& operator=(const Overview&) = delete;

    /// The destinations that the scheduler knows.
    async::Task<void> destinations(QueuePeer& peer, std::uint64_t request, std::string next_hop);
    /// How many messages wait, by domain or next hop and age.
    async::Task<void> shape(QueuePeer& peer, std::uint64_t request, bool senders);
    /// What became of a message.
    async::Task<void> trace(QueuePeer& peer, std::uint64_t request, std::string queue_id);
    /// Suspends or resumes domains.
    async::Task<void> suspend(QueuePeer& peer, std::uint64_t request, wire::SuspendDomains asked);
    /// Whether this recipient domain is suspended.
    [[nodiscard]] bool is_suspended(const std::string& domain) const {
        return queue_.suspensions().covers(domain);
    }
    /// The domains that are suspended.
    void suspended(QueuePeer& peer, std::uint64_t request);

  private:
    [[nodiscard]] async::Task<Result<std::vector<wire::TraceEvent>>> events_of(QueueId id);

    async::Loop& loop_;
    Spool& spool_;
    Queue& queue_;
};

/// The column of queue shape that an age belongs to: 0 for less than 5 minutes, then each twice as much, 9
/// for 1280 minutes and more. Pure.
[[nodiscard]] std::size_t shape_column(UnixMillis age);
inline constexpr std::size_t kShapeColumns = 10;

}  // namespace postrider::queue_manager
