#include "queue-manager/retry.h"

#include <catch2/catch.hpp>

#include <vector>

using namespace postrider;
using namespace postrider::queue_manager;

namespace {

constexpr UnixMillis kMinute = 60'000;
constexpr UnixMillis kDay = 24 * 60 * kMinute;
constexpr UnixMillis kArrival = 1'700'000'000'000;

RetrySchedule schedule() {
    using namespace std::chrono_literals;
    return {{5min, 5min, 15min, 60min}, 120h, 10};
}

const JitterSource kNone = [] { return 0.0; };
const JitterSource kLate = [] { return 1.0; };
const JitterSource kEarly = [] { return -1.0; };

}  // namespace

TEST_CASE("the schedule 5m,5m,15m,1h gives attempts after 0, 5, 10, 25 and 85 minutes") {
    UnixMillis now = kArrival;
    std::uint32_t attempts = 0;
    for (UnixMillis minute : {5U, 10U, 25U, 85U, 145U, 205U}) {
        auto next = schedule().next_attempt(now, kArrival, ++attempts, kNone);
        REQUIRE(next);
        CHECK(*next == kArrival + minute * kMinute);
        now = *next;
    }
}

TEST_CASE("jitter moves a wait by its share either way and no further") {
    CHECK(schedule().next_attempt(kArrival, kArrival, 1, kLate) == kArrival + 5 * kMinute + kMinute / 2);
    CHECK(schedule().next_attempt(kArrival, kArrival, 1, kEarly) == kArrival + 5 * kMinute - kMinute / 2);
}

TEST_CASE("the last attempt falls on the end of the lifetime, and none follows") {
    UnixMillis end = kArrival + 5 * kDay;
    CHECK(schedule().expires(kArrival) == end);
    auto next = schedule().next_attempt(end - 10 * kMinute, kArrival, 50, kLate);
    CHECK(next == end);
    CHECK_FALSE(schedule().next_attempt(end, kArrival, 51, kNone));
    CHECK_FALSE(schedule().next_attempt(end + kDay, kArrival, 1, kNone));
}

TEST_CASE("an attempt that was never counted has the first interval") {
    CHECK(schedule().interval(0) == schedule().interval(1));
    CHECK(schedule().interval(1000) == Milliseconds(60 * kMinute));
}

TEST_CASE("what has no lifetime is tried for ever") {
    const RetrySchedule schedule({Milliseconds(1000)}, RetrySchedule::kForever, 0);
    constexpr UnixMillis kFar = 4'000'000'000'000;
    CHECK(schedule.expires(1) == RetrySchedule::kNoEnd);
    CHECK(schedule.next_attempt(kFar, 1, 3, [] { return 0.0; }) == kFar + 1000);
}
