#pragma once

#include <cstdint>

#include "libcommon/base/clock.h"
#include "libcommon/ipc/queue.pb.h"

namespace postrider::queue_manager {

/// A time that never comes.
inline constexpr UnixMillis kNever = ~UnixMillis{0};

/// At which times the route of a delivery lets it be tried (`schedule=` in postrider.conf(5)).
struct DeliverySchedule {
    enum class Kind : std::uint8_t {
        Immediate,  ///< when it arrives, and then by the retry schedule
        Manual,     ///< when it is flushed
        Never,      ///< not as long as the route says so, flushed or not
        Every,      ///< each so many seconds, counted from midnight of 1 January 1970, local time
        Daily       ///< each day, so many seconds after midnight, local time
    };
    Kind kind = Kind::Immediate;
    std::uint32_t seconds = 0;

    /// Whether no time of its own ever comes.
    [[nodiscard]] bool held() const { return kind == Kind::Manual || kind == Kind::Never; }
    /// Whether it comes at certain times.
    [[nodiscard]] bool ticks() const { return kind == Kind::Every || kind == Kind::Daily; }
    /// The first time after `time`; only if it ticks(). The time zone is the process's.
    [[nodiscard]] UnixMillis next(UnixMillis time) const;
    /// Whether `time` is one of these times; false unless it ticks().
    [[nodiscard]] bool is_time(UnixMillis time) const { return ticks() && next(time - 1) == time; }

    friend bool operator==(const DeliverySchedule&, const DeliverySchedule&) = default;
};

/// What the router wrote down; a schedule that makes no sense is Immediate.
[[nodiscard]] DeliverySchedule schedule_from(const wire::RouteSchedule& schedule, bool hold);
/// That of the route which a delivery was given when it was resolved.
[[nodiscard]] DeliverySchedule marked_schedule(const wire::Delivery& delivery);

}  // namespace postrider::queue_manager
