#include "queue-manager/health.h"

#include <catch2/catch.hpp>

using namespace postrider;
using namespace postrider::queue_manager;

namespace {

constexpr UnixMillis kNow = 1'700'000'000'000;
constexpr Milliseconds kHour(3'600'000);
const JitterSource kNone = [] { return 0.0; };

/// Fails until down; returns the time it is down until.
UnixMillis bring_down(Health& health, UnixMillis now = kNow) {
    for (int i = 0; i < 100; ++i) {
        if (health.failed(now, kHour, kNone)) return health.down_until();
    }
    FAIL("the destination never went down");
    return 0;
}

}  // namespace

TEST_CASE("the window grows from 5 to 20 with success") {
    Health health{HealthSettings()};
    CHECK(health.window(kNow) == 5);
    for (int i = 0; i < 5; ++i)
        CHECK_FALSE(health.succeeded());
    CHECK(health.window(kNow) == 6);
    for (int i = 0; i < 1000; ++i)
        CHECK_FALSE(health.succeeded());
    CHECK(health.window(kNow) == 20);
}

TEST_CASE("the window shrinks with each failed connection, and a round of them is the end") {
    Health health{HealthSettings()};
    CHECK_FALSE(health.failed(kNow, kHour, kNone));
    CHECK(health.window(kNow) == 4);
    CHECK_FALSE(health.failed(kNow, kHour, kNone));
    CHECK(health.window(kNow) == 3);
    CHECK(health.failed(kNow, kHour, kNone));
    CHECK(health.down());
    CHECK(health.window(kNow) == 0);
}

TEST_CASE("a success in between begins the round anew") {
    Health health{HealthSettings()};
    for (int i = 0; i < 4; ++i) {
        CHECK_FALSE(health.failed(kNow, kHour, kNone));
        CHECK_FALSE(health.succeeded());
    }
    CHECK(health.window(kNow) <= 2);
    CHECK_FALSE(health.down());
}

TEST_CASE("after the dead time there is one probe, and the dead time doubles with each that fails") {
    Health health{HealthSettings()};
    UnixMillis failed_at = kNow;
    bring_down(health);
    for (UnixMillis dead : {300'000U, 600'000U, 1'200'000U, 2'400'000U, 3'600'000U, 3'600'000U}) {
        CHECK(health.down_until() - failed_at == dead);
        CHECK(health.window(health.down_until() - 1) == 0);
        CHECK(health.window(health.down_until()) == 1);
        failed_at = health.down_until();
        CHECK(health.failed(failed_at, kHour, kNone));
        UnixMillis until = health.down_until();
        // One that was in flight before tells nothing new.
        CHECK_FALSE(health.failed(failed_at + 1, kHour, kNone));
        CHECK(health.down_until() == until);
    }
}

TEST_CASE("a probe that succeeds ends the dead time and its doubling") {
    Health health{HealthSettings()};
    UnixMillis until = bring_down(health);
    CHECK(health.failed(until, kHour, kNone));
    CHECK(health.succeeded());
    CHECK(health.window(kNow) == 5);
    CHECK(health.trust() == Trust::Proven);
    CHECK_FALSE(health.pristine());
    CHECK(bring_down(health, kNow) == kNow + 300'000);
}

TEST_CASE("a destination is not left alone for longer than its messages would wait") {
    for (double moved : {-1.0, 0.0, 1.0}) {
        Health health{HealthSettings()};
        JitterSource jitter = [moved] { return moved; };
        while (!health.failed(kNow, Milliseconds(60'000), jitter)) {
        }
        CHECK(health.down_until() <= kNow + 60'000);
        CHECK(health.down_until() >= kNow + 54'000);
    }
}

TEST_CASE("one that is suspected to be down is probed at once, and one failure is enough") {
    Health health{HealthSettings()};
    CHECK(health.trust() == Trust::Untested);
    health.suspect();
    CHECK(health.suspected());
    CHECK(health.pristine());
    CHECK(health.trust() == Trust::Suspect);
    CHECK(health.window(kNow) == 1);
    CHECK(health.failed(kNow, kHour, kNone));
    CHECK_FALSE(health.suspected());
    CHECK(health.down_until() == kNow + 300'000);
    // What is known is no suspicion, and stays.
    health.clear_suspicion();
    CHECK(health.down());
}

TEST_CASE("a suspicion ends with a success, or with mail that was never deferred") {
    Health health{HealthSettings()};
    health.suspect();
    CHECK_FALSE(health.succeeded());  // it was never down
    CHECK(health.window(kNow) == 5);
    CHECK(health.trust() == Trust::Proven);
    CHECK_FALSE(health.pristine());  // or the next message would be suspicious again
    CHECK_FALSE(health.failed(kNow, kHour, kNone));
    CHECK(health.trust() == Trust::Suspect);

    Health other{HealthSettings()};
    other.suspect();
    other.clear_suspicion();
    CHECK(other.window(kNow) == 5);
    CHECK(other.trust() == Trust::Untested);
}

TEST_CASE("an administrator can have it tried at once") {
    Health health{HealthSettings()};
    bring_down(health);
    health.forgive();
    CHECK(health.window(kNow) == 5);
    CHECK(health.pristine());
}
