#include "queue-manager/delivery_schedule.h"

#include <ctime>

namespace postrider::queue_manager {

namespace {

constexpr UnixMillis kSecond = 1000;
constexpr std::uint32_t kDaySeconds = 86'400;

std::time_t next_daily(std::time_t time, std::uint32_t seconds) {
    std::tm local{};
    ::localtime_r(&time, &local);
    // A day may have 23 or 25 hours, so the calendar counts, not the seconds.
    for (int day = local.tm_mday;; ++day) {
        std::tm wanted{};
        wanted.tm_year = local.tm_year;
        wanted.tm_mon = local.tm_mon;
        wanted.tm_mday = day;
        wanted.tm_hour = static_cast<int>(seconds / 3600);
        wanted.tm_min = static_cast<int>(seconds / 60 % 60);
        wanted.tm_sec = static_cast<int>(seconds % 60);
        wanted.tm_isdst = -1;
        const std::time_t next = ::mktime(&wanted);
        if (next > time) return next;
    }
}

std::time_t next_multiple(std::time_t time, std::uint32_t seconds) {
    std::tm local{};
    ::localtime_r(&time, &local);
    const std::time_t shown = time + local.tm_gmtoff;
    return (shown / seconds + 1) * seconds - local.tm_gmtoff;
}

}  // namespace

UnixMillis DeliverySchedule::next(UnixMillis time) const {
    const auto now = static_cast<std::time_t>(time / kSecond);
    const std::time_t next =
        kind == Kind::Daily ? next_daily(now, seconds) : next_multiple(now, seconds == 0 ? 1 : seconds);
    return static_cast<UnixMillis>(next) * kSecond;
}

DeliverySchedule schedule_from(const wire::RouteSchedule& schedule, bool hold) {
    using Kind = DeliverySchedule::Kind;
    switch (schedule.kind()) {
        case wire::RouteSchedule::NEVER:
            return {Kind::Never, 0};
        case wire::RouteSchedule::EVERY:
            if (schedule.seconds() == 0) break;
            return {Kind::Every, schedule.seconds()};
        case wire::RouteSchedule::DAILY:
            if (schedule.seconds() >= kDaySeconds) break;
            return {Kind::Daily, schedule.seconds()};
        default:
            break;
    }
    return {hold ? Kind::Manual : Kind::Immediate, 0};
}

DeliverySchedule marked_schedule(const wire::Delivery& delivery) {
    return schedule_from(delivery.schedule(), delivery.hold());
}

}  // namespace postrider::queue_manager
