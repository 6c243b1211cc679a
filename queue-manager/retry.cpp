#include "queue-manager/retry.h"

#include <algorithm>
#include <cmath>

namespace postrider::queue_manager {

Milliseconds RetrySchedule::interval(std::uint32_t attempts) const {
    std::size_t index = attempts == 0 ? 0 : attempts - 1;
    return intervals_[std::min(index, intervals_.size() - 1)];
}

Milliseconds RetrySchedule::jittered(Milliseconds wait, const JitterSource& jitter) const {
    double factor = 1.0 + jitter() * jitter_percent_ / 100.0;
    return Milliseconds(std::llround(static_cast<double>(wait.count()) * factor));
}

std::optional<UnixMillis> RetrySchedule::next_attempt(UnixMillis now, UnixMillis arrival,
                                                      std::uint32_t attempts,
                                                      const JitterSource& jitter) const {
    UnixMillis end = expires(arrival);
    if (now >= end) return std::nullopt;
    UnixMillis next = now + static_cast<UnixMillis>(jittered(interval(attempts), jitter).count());
    return std::min(next, end);
}

}  // namespace postrider::queue_manager
