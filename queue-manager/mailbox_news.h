#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>

#include "libcommon/base/clock.h"
#include "libcommon/ipc/queue.pb.h"

namespace postrider::queue_manager {

/// Which mailboxes the router is believed to take for full, so that it is told of a success only where that
/// is news. Pure.
class MailboxNews {
  public:
    enum class News { None, Full, Room };

    /// `time`: how long the router believes that a mailbox is full; 0: it is to be told nothing.
    explicit MailboxNews(Milliseconds time) : time_(static_cast<UnixMillis>(time.count())) {}

    /// What to tell the router because a delivery to a mailbox ended in this way: that it is full after
    /// X.2.2 (RFC 3463), that it has room after a success that follows such a failure.
    [[nodiscard]] News after(const wire::Delivery& delivery, const wire::DeliveryResult& result,
                             UnixMillis now);

    /// Mailboxes that are remembered. When there are too many, a later success is not told, and the router
    /// finds out in its time.
    [[nodiscard]] std::size_t size() const { return full_.size(); }
    static constexpr std::size_t kMaxMailboxes = 10'000;

  private:
    UnixMillis time_;
    std::unordered_map<std::string, UnixMillis> full_;  // until when the router takes them for full
};

}  // namespace postrider::queue_manager
