#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "libcommon/base/clock.h"

namespace postrider::queue_manager {

/// Gives a number from -1 to 1, for moving times at random; tests give a constant.
using JitterSource = std::function<double()>;

/// When a deferred delivery is tried again, and until when. Pure.
class RetrySchedule {
  public:
    /// The lifetime of what is never given up, and the end of it.
    static constexpr Milliseconds kForever = Milliseconds::max();
    static constexpr UnixMillis kNoEnd = ~UnixMillis{0};

    /// `intervals`: the wait after the first, second ... attempt, the last one repeats; not empty.
    /// `lifetime`: how long after its arrival a message is given up. `jitter_percent`: how far a wait may be
    /// moved.
    RetrySchedule(std::vector<Milliseconds> intervals, Milliseconds lifetime, unsigned jitter_percent)
        : intervals_(std::move(intervals)), lifetime_(lifetime), jitter_percent_(jitter_percent) {}

    /// The wait after attempt number `attempts` (1 is the first), without jitter.
    [[nodiscard]] Milliseconds interval(std::uint32_t attempts) const;

    /// The time of the next attempt after number `attempts` was deferred at `now`; nullopt when the lifetime
    /// is over. The last attempt falls on the end of the lifetime, so that a message is tried until then; and
    /// since this is asked after an attempt only, none is given up without one.
    [[nodiscard]] std::optional<UnixMillis> next_attempt(UnixMillis now, UnixMillis arrival,
                                                         std::uint32_t attempts,
                                                         const JitterSource& jitter) const;

    /// When a message that arrived at `arrival` is given up; kNoEnd if it never is.
    [[nodiscard]] UnixMillis expires(UnixMillis arrival) const { return expires(arrival, lifetime_); }
    /// The same of one with this lifetime.
    [[nodiscard]] static UnixMillis expires(UnixMillis arrival, Milliseconds lifetime) {
        if (lifetime == kForever) return kNoEnd;
        return arrival + static_cast<UnixMillis>(lifetime.count());
    }

    /// `wait` moved by the jitter.
    [[nodiscard]] Milliseconds jittered(Milliseconds wait, const JitterSource& jitter) const;

  private:
    std::vector<Milliseconds> intervals_;
    Milliseconds lifetime_;
    unsigned jitter_percent_;
};

}  // namespace postrider::queue_manager
