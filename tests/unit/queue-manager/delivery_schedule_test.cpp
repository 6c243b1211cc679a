#include "queue-manager/delivery_schedule.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <ctime>
#include <string>

#include "queue-manager/message.h"

using namespace postrider;
using namespace postrider::queue_manager;

namespace {

using Kind = DeliverySchedule::Kind;

/// Another time zone for as long as it exists.
class TimeZone {
  public:
    explicit TimeZone(const char* name) {
        const char* before = std::getenv("TZ");
        if (before != nullptr) before_ = before;
        was_set_ = before != nullptr;
        ::setenv("TZ", name, 1);
        ::tzset();
    }
    ~TimeZone() {
        was_set_ ? ::setenv("TZ", before_.c_str(), 1) : ::unsetenv("TZ");
        ::tzset();
    }
    TimeZone(const TimeZone&) = delete;
    TimeZone& operator=(const TimeZone&) = delete;

  private:
    std::string before_;
    bool was_set_ = false;
};

/// "2026-03-29 01:30" of the time zone.
UnixMillis at(const char* text) {
    std::tm time{};
    REQUIRE(::strptime(text, "%Y-%m-%d %H:%M", &time) != nullptr);
    time.tm_isdst = -1;
    return static_cast<UnixMillis>(::mktime(&time)) * 1000;
}

constexpr const char* kBerlin = "CET-1CEST,M3.5.0,M10.5.0/3";

}  // namespace

TEST_CASE("T87_the times of a schedule") {
    struct Case {
        const char* zone;
        DeliverySchedule schedule;
        const char* time;
        const char* next;
    };
    const DeliverySchedule hourly{Kind::Every, 3600};
    const DeliverySchedule quarter{Kind::Every, 900};
    const DeliverySchedule six_hours{Kind::Every, 21'600};
    const DeliverySchedule two{Kind::Daily, 7200};
    const DeliverySchedule half_past_two{Kind::Daily, 9000};
    for (const Case& c : {Case{"UTC", hourly, "2026-11-20 10:05", "2026-11-20 11:00"},
                          Case{"UTC", hourly, "2026-11-20 10:50", "2026-11-20 11:00"},
                          Case{"UTC", hourly, "2026-11-20 11:00", "2026-11-20 12:00"},
                          Case{"IST-5:30", hourly, "2026-11-20 10:05", "2026-11-20 11:00"},
                          Case{"UTC", quarter, "2026-12-31 23:50", "2027-01-01 00:00"},
                          Case{kBerlin, six_hours, "2026-11-20 07:00", "2026-11-20 12:00"},
                          Case{"UTC", two, "2026-11-20 01:59", "2026-11-20 02:00"},
                          Case{"UTC", two, "2026-11-20 02:00", "2026-11-21 02:00"},
                          Case{kBerlin, two, "2026-12-31 12:00", "2027-01-01 02:00"},
                          // The day with 23 hours has no half past two, the one with 25 has two.
                          Case{kBerlin, half_past_two, "2026-03-28 12:00", "2026-03-29 03:30"},
                          Case{kBerlin, half_past_two, "2026-03-29 12:00", "2026-03-30 02:30"},
                          Case{kBerlin, half_past_two, "2026-10-25 12:00", "2026-10-26 02:30"}}) {
        const TimeZone zone(c.zone);
        INFO(c.zone << " " << c.time);
        const UnixMillis next = c.schedule.next(at(c.time));
        CHECK(next == at(c.next));
        CHECK(c.schedule.next(next - 1) == next);
        CHECK(c.schedule.is_time(next));
        CHECK_FALSE(c.schedule.is_time(next + 1000));
    }
}

TEST_CASE("a schedule that makes no sense is none") {
    struct Case {
        wire::RouteSchedule::Kind kind;
        std::uint32_t seconds;
        bool hold;
        Kind expected;
    };
    for (const Case& c : {Case{wire::RouteSchedule::IMMEDIATE, 0, false, Kind::Immediate},
                          Case{wire::RouteSchedule::IMMEDIATE, 0, true, Kind::Manual},
                          Case{wire::RouteSchedule::NEVER, 0, true, Kind::Never},
                          Case{wire::RouteSchedule::EVERY, 60, false, Kind::Every},
                          Case{wire::RouteSchedule::EVERY, 0, false, Kind::Immediate},
                          Case{wire::RouteSchedule::DAILY, 0, false, Kind::Daily},
                          Case{wire::RouteSchedule::DAILY, 86'400, false, Kind::Immediate},
                          Case{static_cast<wire::RouteSchedule::Kind>(77), 5, true, Kind::Manual}}) {
        wire::Delivery delivery;
        delivery.set_hold(c.hold);
        delivery.mutable_schedule()->set_kind(c.kind);
        delivery.mutable_schedule()->set_seconds(c.seconds);
        CHECK(marked_schedule(delivery).kind == c.expected);
    }
}

TEST_CASE("T87_when a delivery is due whose route's schedule becomes known or changes") {
    const TimeZone zone("UTC");
    const DeliverySchedule none;
    const DeliverySchedule manual{Kind::Manual, 0};
    const DeliverySchedule hourly{Kind::Every, 3600};
    const DeliverySchedule daily{Kind::Daily, 7200};
    const UnixMillis arrival = at("2026-11-20 10:05");
    const UnixMillis end = at("2026-11-25 10:05");
    const UnixMillis eleven = at("2026-11-20 11:00");
    const UnixMillis two = at("2026-11-21 02:00");
    const UnixMillis retry = arrival + 300'123;
    struct Case {
        const char* name;
        DeliverySchedule marked;
        DeliverySchedule now;
        UnixMillis since;
        UnixMillis before;
        UnixMillis due;
        bool held;
    };
    for (const Case& c :
         {Case{"just resolved", hourly, hourly, 0, 0, eleven, false},
          Case{"tried and waiting for the next time", hourly, hourly, 0, eleven, eleven, false},
          Case{"held", manual, manual, 0, 0, end, true},
          Case{"held before", manual, manual, 0, kNever, end, true},
          Case{"held, now daily", manual, daily, at("2026-11-20 23:00"), kNever, two, false},
          Case{"hourly, now daily", hourly, daily, at("2026-11-20 10:30"), eleven, two, false},
          Case{"hourly, now at once", hourly, none, at("2026-11-20 10:30"), eleven, 0, false},
          Case{"held, now at once", manual, none, at("2026-11-20 10:30"), kNever, 0, false},
          Case{"at once, and deferred since", hourly, none, at("2026-11-20 10:05"), retry, retry, false}}) {
        wire::Delivery wire;
        wire.set_hold(c.marked.held());
        if (c.marked.ticks()) {
            wire.mutable_schedule()->set_kind(c.marked.kind == Kind::Every ? wire::RouteSchedule::EVERY
                                                                           : wire::RouteSchedule::DAILY);
            wire.mutable_schedule()->set_seconds(c.marked.seconds);
        }
        ActiveDelivery delivery;
        delivery.delivery = wire;
        delivery.due = c.before;
        apply_schedule(delivery, c.now, c.since, arrival, end);
        INFO(c.name);
        CHECK(delivery.due == c.due);
        CHECK(delivery.held == c.held);
    }
}
