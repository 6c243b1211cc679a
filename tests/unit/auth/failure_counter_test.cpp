#include "smtpd/auth/failure_counter.h"

#include <catch2/catch.hpp>

#include <string>

namespace postrider::auth {

namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const SteadyTime kStart = SteadyTime{} + hours(1000);

/// Fails a login that must be admitted.
Milliseconds fail(FailureCounter& counter, const std::string& client, const std::string& account,
                  SteadyTime now) {
    REQUIRE(counter.admit(client, account, now) == Admission::Admitted);
    return counter.failed(client, account, now);
}

/// What a login is met with; one that is admitted is abandoned at once.
Admission probe(FailureCounter& counter, const std::string& client, const std::string& account,
                SteadyTime now) {
    const Admission admission = counter.admit(client, account, now);
    if (admission == Admission::Admitted) counter.abandoned(client, account);
    return admission;
}

}  // namespace

TEST_CASE("after 20 failures within an hour a client is locked, whoever it tries to be") {
    FailureCounter counter{FailureLimits()};
    for (int i = 0; i < 20; ++i) {
        CHECK_FALSE(counter.is_client_locked("192.0.2.1", kStart + minutes(i)));
        static_cast<void>(fail(counter, "192.0.2.1", "user" + std::to_string(i), kStart + minutes(i)));
    }
    struct Case {
        std::string client;
        SteadyTime at;
        Admission expected;
    };
    const Case cases[] = {
        {"192.0.2.1", kStart + minutes(20), Admission::Locked},
        {"192.0.2.2", kStart + minutes(20), Admission::Admitted},
        {"192.0.2.1", kStart + minutes(59), Admission::Locked},
        // The first failure leaves the window, which has room for one more.
        {"192.0.2.1", kStart + minutes(60), Admission::Admitted},
    };
    for (const Case& c : cases)
        CHECK(probe(counter, c.client, "somebody", c.at) == c.expected);
    static_cast<void>(fail(counter, "192.0.2.1", "x", kStart + minutes(60)));
    CHECK(probe(counter, "192.0.2.1", "x", kStart + minutes(60)) == Admission::Locked);
    CHECK(probe(counter, "192.0.2.1", "x", kStart + minutes(61)) == Admission::Admitted);
}

TEST_CASE("delays double up to the largest") {
    FailureCounter counter{FailureLimits()};
    const int expected[] = {1000, 2000, 4000, 8000, 10000, 10000, 10000};
    for (const int delay : expected)
        CHECK(fail(counter, "192.0.2.1", "", kStart) == Milliseconds(delay));
    CHECK(fail(counter, "192.0.2.2", "", kStart) == Milliseconds(1000));
    CHECK(fail(counter, "192.0.2.1", "", kStart + hours(2)) == Milliseconds(1000));
}

TEST_CASE("an account is locked longer with every failure, wherever it comes from") {
    FailureCounter counter{FailureLimits()};
    SteadyTime now = kStart;
    for (int i = 0; i < 10; ++i)
        static_cast<void>(fail(counter, "client" + std::to_string(i), "alice", now));
    for (const seconds lock : {seconds(30), seconds(60), seconds(120), seconds(240)}) {
        CHECK(probe(counter, "new", "alice", now) == Admission::Locked);
        CHECK(probe(counter, "new", "bob", now) == Admission::Admitted);
        CHECK(probe(counter, "new", "alice", now + lock - seconds(1)) == Admission::Locked);
        now += lock;
        // One attempt at a time, and the next failure locks again.
        REQUIRE(counter.admit("new", "alice", now) == Admission::Admitted);
        CHECK(counter.admit("other", "alice", now) == Admission::Wait);
        static_cast<void>(counter.failed("new", "alice", now));
    }
    now += minutes(8);
    REQUIRE(counter.admit("new", "alice", now) == Admission::Admitted);
    counter.succeeded("new", "alice");
    for (int i = 0; i < 9; ++i)
        static_cast<void>(fail(counter, "later" + std::to_string(i), "alice", now));
    CHECK(probe(counter, "new", "alice", now) == Admission::Admitted);
}

TEST_CASE("guesses at the same time count like guesses one after the other") {
    FailureLimits limits;
    limits.client.count = 3;
    FailureCounter counter{limits};
    for (int i = 0; i < 3; ++i)
        REQUIRE(counter.admit("c", "a" + std::to_string(i), kStart) == Admission::Admitted);
    CHECK(counter.admit("c", "a3", kStart) == Admission::Wait);
    static_cast<void>(counter.failed("c", "a0", kStart));
    CHECK(counter.admit("c", "a3", kStart) == Admission::Wait);
    counter.succeeded("c", "a1");
    CHECK(counter.admit("c", "a3", kStart) == Admission::Admitted);
    static_cast<void>(counter.failed("c", "a2", kStart));
    static_cast<void>(counter.failed("c", "a3", kStart));
    CHECK(counter.admit("c", "a4", kStart) == Admission::Locked);
}

TEST_CASE("a login that succeeds does not clear its client, and nothing is remembered without failures") {
    FailureLimits limits;
    limits.client.count = 2;
    FailureCounter counter{limits};
    static_cast<void>(fail(counter, "c", "victim", kStart));
    REQUIRE(counter.admit("c", "own", kStart) == Admission::Admitted);
    counter.succeeded("c", "own");
    static_cast<void>(fail(counter, "c", "victim", kStart));
    CHECK(probe(counter, "c", "own", kStart) == Admission::Locked);
    CHECK(counter.tracked_clients() == 1);
    CHECK(counter.tracked_accounts() == 1);
}

TEST_CASE("what is tracked is bounded, and the least recent goes first") {
    FailureLimits limits;
    limits.tracked = 100;
    limits.client.count = 1;
    FailureCounter counter{limits};
    for (int i = 0; i < 1000; ++i)
        static_cast<void>(fail(counter, std::to_string(i), "account" + std::to_string(i), kStart));
    CHECK(counter.tracked_clients() == 100);
    CHECK(counter.tracked_accounts() == 100);
    CHECK(counter.is_client_locked("999", kStart));
    CHECK_FALSE(counter.is_client_locked("899", kStart));
}

}  // namespace postrider::auth
