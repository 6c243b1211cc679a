#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "libcommon/base/clock.h"

namespace postrider::queue_manager {

/// How many messages a destination was given in a sliding window of time. The window is made of slots, and
/// the oldest one counts until all of it has left the window: so never more than the rate allows go within
/// one period, and room comes back a slot at a time. Pure; the times of calls do not go back.
class SendRate {
  public:
    SendRate() = default;

    /// From now on `count` messages may go in `period`; a count of 0 sets no bound. The same rate again
    /// changes nothing, another count holds for what was counted already, another period begins anew.
    void set(std::uint32_t count, Milliseconds period);

    /// Counts a message that goes at `now`.
    void count(UnixMillis now);
    /// When a message may go: `now`, or later.
    [[nodiscard]] UnixMillis next_room(UnixMillis now) const;
    /// Whether anything that was counted still matters at `now`.
    [[nodiscard]] bool unused(UnixMillis now) const { return count_ == 0 || used(slot_at(now)) == 0; }

  private:
    // One more than the period is divided into, for the one that has left the window in part.
    static constexpr std::size_t kSlots = 17;

    [[nodiscard]] std::uint64_t slot_length() const;
    [[nodiscard]] std::uint64_t slot_at(UnixMillis now) const { return now / slot_length(); }
    /// What counts when `slot` is the newest one.
    [[nodiscard]] std::uint64_t used(std::uint64_t slot) const;

    std::uint32_t count_ = 0;
    std::uint64_t period_ = 0;
    std::uint64_t newest_ = 0;  // the number of the newest slot, counted from 1970
    std::array<std::uint32_t, kSlots> slots_{};
};

}  // namespace postrider::queue_manager
