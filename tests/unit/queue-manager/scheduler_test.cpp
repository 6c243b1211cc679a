#include "queue-manager/scheduler.h"

#include <catch2/catch.hpp>

#include <map>
#include <set>
#include <string>
#include <vector>

using namespace postrider;
using namespace postrider::queue_manager;

namespace {

constexpr UnixMillis kNow = 1'700'000'000'000;
constexpr Milliseconds kRetry(1'800'000);
constexpr std::uint32_t kBytes = 100;

DestinationKey smtp(const std::string& host) {
    return {wire::TRANSPORT_SMTP, host};
}
DestinationKey maildir(const std::string& user) {
    return {wire::TRANSPORT_MAILDIR, user};
}
QueueId message(std::uint32_t number) {
    return {kNow, number};
}
TransportSet all() {
    return TransportSet().set();
}
TransportSet only(wire::Transport transport) {
    return TransportSet().set(static_cast<std::size_t>(transport));
}

Scheduler make_scheduler() {
    return {SchedulerSettings(), [] { return 0.0; }};
}

std::vector<ReadyDelivery> numbers(std::uint32_t first, std::uint32_t count) {
    std::vector<ReadyDelivery> deliveries;
    for (std::uint32_t i = 0; i < count; ++i)
        deliveries.push_back({first + i, kBytes});
    return deliveries;
}

Offer offer(std::uint32_t id, const DestinationKey& key, std::uint32_t count = 1,
            const std::string& sender = "s@example.org") {
    return {message(id), key, sender, false, {}, numbers(1, count)};
}

void add(Scheduler& scheduler, std::uint32_t id, const DestinationKey& key, std::uint32_t count = 1,
         bool report = false) {
    Offer one = offer(id, key, count);
    one.report = report;
    REQUIRE_FALSE(scheduler.add(std::move(one), kNow));
}

void end_job(Scheduler& scheduler, std::uint64_t job, JobOutcome outcome, UnixMillis now,
             Milliseconds retry_in) {
    static_cast<void>(scheduler.finished(job, outcome, now, retry_in));
}

/// All jobs that may begin now.
std::vector<Job> start_all(Scheduler& scheduler, UnixMillis now = kNow) {
    std::vector<Job> jobs;
    while (auto job = scheduler.next(all(), now))
        jobs.push_back(std::move(*job));
    return jobs;
}

/// Fails connections to `host` until it is down; returns the end of the dead time.
UnixMillis bring_down(Scheduler& scheduler, const std::string& host) {
    for (std::uint32_t i = 0; i < 3; ++i) {
        add(scheduler, 1000 + i, smtp(host));
        auto job = scheduler.next(all(), kNow);
        REQUIRE(job);
        end_job(scheduler, job->number, JobOutcome::NotReached, kNow, kRetry);
    }
    auto until = scheduler.refused_until(smtp(host), kNow);
    REQUIRE(until);
    return *until;
}

}  // namespace

TEST_CASE("a destination gets as many jobs at once as its window") {
    auto scheduler = make_scheduler();
    for (std::uint32_t i = 0; i < 30; ++i)
        add(scheduler, i, smtp("a"));
    auto jobs = start_all(scheduler);
    CHECK(jobs.size() == 5);
    CHECK(scheduler.ready() == 25);
    CHECK(scheduler.in_flight() == 5);
    end_job(scheduler, jobs[0].number, JobOutcome::Reached, kNow, kRetry);
    CHECK(start_all(scheduler).size() == 1);
}

TEST_CASE("the window grows to 20 while deliveries succeed") {
    auto scheduler = make_scheduler();
    for (std::uint32_t i = 0; i < 2000; ++i)
        add(scheduler, i, smtp("a"));
    std::size_t most = 0;
    for (int round = 0; round < 60; ++round) {
        for (const auto& job : start_all(scheduler)) {
            most = std::max(most, scheduler.in_flight());
            end_job(scheduler, job.number, JobOutcome::Reached, kNow, kRetry);
        }
    }
    CHECK(most == 20);
}

TEST_CASE("a destination that answers nothing delays no other") {
    auto scheduler = make_scheduler();
    for (std::uint32_t i = 0; i < 1000; ++i)
        add(scheduler, i, smtp("slow"));
    start_all(scheduler);  // and they never end
    for (std::uint32_t i = 0; i < 1000; ++i) {
        add(scheduler, 2000 + i, smtp("fast"));
        auto jobs = start_all(scheduler);
        REQUIRE(jobs.size() == 1);
        CHECK(jobs[0].destination == smtp("fast"));
        end_job(scheduler, jobs[0].number, JobOutcome::Reached, kNow, kRetry);
    }
}

TEST_CASE("destinations take turns") {
    auto scheduler = make_scheduler();
    for (std::uint32_t i = 0; i < 3; ++i) {
        for (const char* host : {"a", "b", "c"})
            add(scheduler, i, smtp(host));
    }
    std::string order;
    for (const auto& job : start_all(scheduler))
        order += job.destination.next_hop;
    CHECK(order == "abcabcabc");
}

TEST_CASE("a message with 50,000 recipients does not block one with a single recipient") {
    auto scheduler = make_scheduler();
    add(scheduler, 1, smtp("a"), 50'000);
    add(scheduler, 2, smtp("a"));
    auto first = scheduler.next(all(), kNow);
    auto second = scheduler.next(all(), kNow);
    REQUIRE((first && second));
    CHECK(first->message == message(1));
    CHECK(first->deliveries.size() == 50);
    CHECK(second->message == message(2));
    // And all 50,000 are offered, each once.
    std::set<std::uint32_t> seen;
    std::vector<Job> jobs = {*first, *second};
    while (!jobs.empty()) {
        for (const auto& job : jobs) {
            if (job.message == message(1)) {
                for (const auto& delivery : job.deliveries)
                    CHECK(seen.insert(delivery.number).second);
            }
            end_job(scheduler, job.number, JobOutcome::Reached, kNow, kRetry);
        }
        jobs = start_all(scheduler);
    }
    CHECK(seen.size() == 50'000);
    CHECK(scheduler.ready() == 0);
}

TEST_CASE("a job is no larger than its frame") {
    auto scheduler = make_scheduler();
    std::vector<ReadyDelivery> large = {{1, 30'000}, {2, 30'000}, {3, 60'000}, {4, 10}};
    Offer one = offer(1, smtp("a"));
    one.deliveries = large;
    REQUIRE_FALSE(scheduler.add(one, kNow));
    std::vector<std::size_t> sizes;
    for (const auto& job : start_all(scheduler))
        sizes.push_back(job.deliveries.size());
    CHECK(sizes == std::vector<std::size_t>{1, 1, 1, 1});
}

TEST_CASE("reports of our own come last within their destination") {
    auto scheduler = make_scheduler();
    add(scheduler, 1, smtp("a"), 1, true);
    add(scheduler, 2, smtp("a"));
    CHECK(scheduler.next(all(), kNow)->message == message(2));
    CHECK(scheduler.next(all(), kNow)->message == message(1));
}

TEST_CASE("an agent gets only what it takes") {
    auto scheduler = make_scheduler();
    add(scheduler, 1, smtp("a"));
    add(scheduler, 2, maildir("bob"));
    CHECK(scheduler.next(only(wire::TRANSPORT_MAILDIR), kNow)->message == message(2));
    CHECK_FALSE(scheduler.next(only(wire::TRANSPORT_MAILDIR), kNow));
    CHECK(scheduler.next(only(wire::TRANSPORT_SMTP), kNow)->message == message(1));
}

TEST_CASE("a local user gets two deliveries at once, of one message each") {
    auto scheduler = make_scheduler();
    for (std::uint32_t i = 0; i < 9; ++i)
        add(scheduler, i, maildir("bob"), 3);
    auto jobs = start_all(scheduler);
    REQUIRE(jobs.size() == 2);
    CHECK(jobs[0].deliveries.size() == 1);
    for (const auto& job : jobs)
        end_job(scheduler, job.number, JobOutcome::Reached, kNow, kRetry);
    CHECK(start_all(scheduler).size() == 2);
}

TEST_CASE("what is ready for a destination that goes down is handed back") {
    auto scheduler = make_scheduler();
    for (std::uint32_t i = 0; i < 100; ++i)
        add(scheduler, i, smtp("dead"), 2);
    auto jobs = start_all(scheduler);
    REQUIRE(jobs.size() == 5);
    Scheduler::Effect effect;
    for (const auto& job : jobs) {
        auto one = scheduler.finished(job.number, JobOutcome::NotReached, kNow, kRetry);
        if (!one.parked.empty()) effect = one;
    }
    CHECK(effect.parked.size() == 95);
    CHECK(effect.parked.front().deliveries.size() == 2);
    CHECK(effect.parked_until == kNow + 300'000);
    CHECK(scheduler.ready() == 0);
    CHECK(scheduler.destinations_down() == 1);
    CHECK(scheduler.add(offer(500, smtp("dead")), kNow) == Refusal{kNow + 300'000});
}

TEST_CASE("one message probes, and its success releases the others") {
    auto scheduler = make_scheduler();
    UnixMillis until = bring_down(scheduler, "dead");
    CHECK_FALSE(scheduler.add(offer(1, smtp("dead")), until));
    // While the probe is ready or in flight the others are sent away again.
    CHECK(scheduler.add(offer(2, smtp("dead")), until));
    auto probe = scheduler.next(all(), until);
    REQUIRE(probe);
    CHECK(scheduler.add(offer(2, smtp("dead")), until));
    auto effect = scheduler.finished(probe->number, JobOutcome::Reached, until, kRetry);
    CHECK(effect.recovered);
    CHECK_FALSE(scheduler.refused_until(smtp("dead"), until));
    CHECK(scheduler.destinations_down() == 0);
}

TEST_CASE("a probe that fails makes the dead time longer") {
    auto scheduler = make_scheduler();
    UnixMillis until = bring_down(scheduler, "dead");
    REQUIRE_FALSE(scheduler.add(offer(1, smtp("dead")), until));
    auto probe = scheduler.next(all(), until);
    end_job(scheduler, probe->number, JobOutcome::NotReached, until, kRetry);
    CHECK(scheduler.refused_until(smtp("dead"), until) == until + 600'000);
}

TEST_CASE("a message alone keeps its own schedule, whatever the health of its destination") {
    auto scheduler = make_scheduler();
    RetrySchedule schedule({Milliseconds(60'000)}, Milliseconds(86'400'000), 10);
    UnixMillis now = kNow;
    for (std::uint32_t attempt = 1; attempt < 200; ++attempt) {
        REQUIRE_FALSE(scheduler.add(offer(1, smtp("dead")), now));
        auto job = scheduler.next(all(), now);
        REQUIRE(job);
        auto retry = schedule.interval(attempt);
        end_job(scheduler, job->number, JobOutcome::NotReached, now, retry);
        now += static_cast<UnixMillis>(retry.count());
    }
}

TEST_CASE("an agent that disappears gives its job back, to be served first") {
    auto scheduler = make_scheduler();
    add(scheduler, 1, smtp("a"), 60);
    add(scheduler, 2, smtp("a"));
    auto job = scheduler.next(all(), kNow);
    REQUIRE(job);
    CHECK_FALSE(scheduler.give_back(job->number, kNow));
    CHECK(scheduler.in_flight() == 0);
    auto again = scheduler.next(all(), kNow);
    REQUIRE(again);
    CHECK(again->message == message(1));
    CHECK(again->number != job->number);
    CHECK(again->deliveries.size() == 50);
    CHECK(again->deliveries.front().number == 1);
}

TEST_CASE("a job given back to a destination that is down waits like the others") {
    auto scheduler = make_scheduler();
    add(scheduler, 1, smtp("dead"));
    auto job = scheduler.next(all(), kNow);
    UnixMillis until = bring_down(scheduler, "dead");
    CHECK(scheduler.give_back(job->number, kNow) == until);
    CHECK(scheduler.ready() == 0);
}

TEST_CASE("a job that nobody knows changes nothing") {
    auto scheduler = make_scheduler();
    CHECK_FALSE(scheduler.finished(99, JobOutcome::NotReached, kNow, kRetry).recovered);
    CHECK_FALSE(scheduler.give_back(99, kNow));
    CHECK(scheduler.destinations() == 0);
}

TEST_CASE("what an administrator flushes is tried though the destination is down") {
    auto scheduler = make_scheduler();
    bring_down(scheduler, "dead");
    scheduler.forgive(smtp("dead"));
    add(scheduler, 1, smtp("dead"));
    CHECK(start_all(scheduler).size() == 1);
}

TEST_CASE("nothing is remembered of destinations that nobody uses") {
    auto scheduler = make_scheduler();
    for (std::uint32_t i = 0; i < 1000; ++i) {
        add(scheduler, i, smtp("host" + std::to_string(i)));
        auto job = scheduler.next(all(), kNow);
        end_job(scheduler, job->number, i % 2 == 0 ? JobOutcome::Reached : JobOutcome::NotReached, kNow,
                kRetry);
    }
    CHECK(scheduler.destinations() == 500);
    scheduler.prune(kNow + 1);
    CHECK(scheduler.destinations() == 0);
}

TEST_CASE("ten thousand destinations of several transports get a turn each before one gets a second") {
    auto scheduler = make_scheduler();
    constexpr std::uint32_t kHosts = 10'000;
    // One host has a thousand messages, and came first.
    for (std::uint32_t i = 0; i < 1000; ++i)
        add(scheduler, i, smtp("greedy"));
    for (std::uint32_t i = 0; i < kHosts; ++i) {
        add(scheduler, 10'000 + i, smtp("host" + std::to_string(i)));
        add(scheduler, 30'000 + i, maildir("user" + std::to_string(i)));
    }
    std::map<DestinationKey, std::size_t> jobs;
    for (std::uint32_t i = 0; i < 2 * kHosts + 1; ++i) {
        auto job = scheduler.next(all(), kNow);
        REQUIRE(job);
        ++jobs[job->destination];
        // Transports take turns as well.
        if (i < 2 * kHosts)
            CHECK(job->destination.transport ==
                  (i % 2 == 0 ? wire::TRANSPORT_SMTP : wire::TRANSPORT_MAILDIR));
    }
    CHECK(jobs.size() == 2 * kHosts + 1);
}

TEST_CASE("a destination that only deferred mail speaks for is probed before the rest goes") {
    auto scheduler = make_scheduler();
    const auto deferred = [](std::uint32_t id, const char* host) {
        Offer one = offer(id, smtp(host));
        one.deferred_before = true;
        return one;
    };
    REQUIRE_FALSE(scheduler.add(deferred(1, "old"), kNow));
    CHECK(scheduler.is_down(smtp("old")));
    CHECK(scheduler.destinations_down() == 0);
    CHECK(scheduler.add(deferred(2, "old"), kNow)->probing);
    const auto probe = scheduler.next(all(), kNow);
    REQUIRE(probe);
    CHECK(probe->trust == Trust::Suspect);

    SECTION("it fails, and the destination is down") {
        const auto effect = scheduler.finished(probe->number, JobOutcome::NotReached, kNow, kRetry);
        CHECK(effect.parked_until == kNow + 300'000);
        CHECK(scheduler.destinations_down() == 1);
    }
    SECTION("it succeeds, and nobody is suspicious of what comes then") {
        CHECK_FALSE(scheduler.finished(probe->number, JobOutcome::Reached, kNow, kRetry).recovered);
        for (std::uint32_t id = 2; id < 10; ++id)
            REQUIRE_FALSE(scheduler.add(deferred(id, "old"), kNow));
        CHECK(start_all(scheduler).size() == 5);
    }
    SECTION("new mail for it does not wait for the probe") {
        add(scheduler, 3, smtp("old"));
        const auto job = scheduler.next(all(), kNow);
        REQUIRE(job);
        CHECK(job->trust == Trust::Untested);
        CHECK_FALSE(scheduler.is_down(smtp("old")));
    }
    SECTION("its agent disappears, and it is tried again") {
        CHECK_FALSE(scheduler.give_back(probe->number, kNow + 1));
        CHECK(start_all(scheduler).size() == 1);
    }
}

TEST_CASE("destinations that are trusted more need not wait for those trusted less") {
    auto scheduler = make_scheduler();
    // Proven: its last connection succeeded.
    add(scheduler, 1, smtp("proven"));
    add(scheduler, 2, smtp("proven"));
    add(scheduler, 3, smtp("proven"));
    end_job(scheduler, scheduler.next(all(), kNow)->number, JobOutcome::Reached, kNow, kRetry);
    for (std::uint32_t i = 0; i < 100; ++i) {
        Offer one = offer(1000 + i, smtp("suspect" + std::to_string(i)));
        one.deferred_before = true;
        REQUIRE_FALSE(scheduler.add(std::move(one), kNow));
        add(scheduler, 2000 + i, smtp("untested" + std::to_string(i)));
    }
    add(scheduler, 4, maildir("user"));

    // Whoever has no place for one that may not answer gets the others, and a local one is among them.
    const auto local = scheduler.next(only(wire::TRANSPORT_MAILDIR), kNow, Trust::Proven);
    REQUIRE(local);
    const auto proven = scheduler.next(all(), kNow, Trust::Proven);
    REQUIRE(proven);
    CHECK(proven->destination == smtp("proven"));
    const auto untested = scheduler.next(all(), kNow, Trust::Untested);
    REQUIRE(untested);
    CHECK(untested->trust == Trust::Untested);
    // Each degree has its turns.
    std::map<Trust, std::size_t> jobs;
    for (int i = 0; i < 20; ++i)
        ++jobs[scheduler.next(all(), kNow)->trust];
    CHECK(jobs[Trust::Proven] == 1);
    CHECK(jobs[Trust::Untested] >= 9);
    CHECK(jobs[Trust::Suspect] >= 9);
    // One that fails in the meantime is not in the line of the proven any more.
    end_job(scheduler, proven->number, JobOutcome::NotReached, kNow, kRetry);
    add(scheduler, 5, smtp("proven"));
    CHECK_FALSE(scheduler.next(all(), kNow, Trust::Proven));
}

TEST_CASE("the limits of a route hold for its destination") {
    struct Case {
        RouteLimits limits;
        std::size_t jobs;        // at once
        std::size_t deliveries;  // of the first
    };
    for (const Case& c : {Case{{}, 5, 50}, Case{{1, 0, 0, 0, {}}, 1, 50}, Case{{2, 7, 0, 0, {}}, 2, 7},
                          Case{{0, 200, 0, 0, {}}, 5, 120}, Case{{0, 0, 0, 3, Milliseconds(60'000)}, 3, 50},
                          Case{{40, 0, 0, 0, {}}, 5, 50}}) {
        auto scheduler = make_scheduler();
        for (std::uint32_t i = 0; i < 50; ++i) {
            Offer one = offer(i, smtp("a"), 120);
            one.limits = c.limits;
            REQUIRE_FALSE(scheduler.add(one, kNow));
        }
        const auto jobs = start_all(scheduler);
        CHECK(jobs.size() == c.jobs);
        CHECK(jobs.front().deliveries.size() == c.deliveries);
        CHECK(jobs.front().limits == c.limits);
    }
}

TEST_CASE("the limits of the newest message count, and those of an older one do not come back") {
    auto scheduler = make_scheduler();
    const auto add_with = [&](std::uint32_t id, std::uint32_t connections) {
        Offer one = offer(id, smtp("a"));
        one.limits.connections = connections;
        REQUIRE_FALSE(scheduler.add(one, kNow));
    };
    add_with(2, 1);
    add_with(1, 4);
    CHECK(start_all(scheduler).size() == 1);
    add_with(3, 2);
    CHECK(start_all(scheduler).size() == 1);
    add_with(4, 0);
    CHECK(start_all(scheduler).size() == 2);
}

TEST_CASE("a destination that has used up its rate goes on when there is room, and delays nobody") {
    auto scheduler = make_scheduler();
    for (std::uint32_t i = 0; i < 10; ++i) {
        Offer one = offer(i, smtp("a"));
        one.limits.rate = 2;
        one.limits.rate_period = Milliseconds(60'000);
        REQUIRE_FALSE(scheduler.add(one, kNow));
        add(scheduler, 100 + i, smtp("b" + std::to_string(i)));
    }
    std::vector<UnixMillis> starts;
    UnixMillis now = kNow;
    while (starts.size() < 10) {
        for (const auto& job : start_all(scheduler, now)) {
            if (job.destination == smtp("a")) starts.push_back(now);
            end_job(scheduler, job.number, JobOutcome::Reached, now, kRetry);
        }
        if (starts.size() == 10) break;
        CHECK(scheduler.destinations_paused() == 1);
        REQUIRE(scheduler.next_wake());
        REQUIRE(*scheduler.next_wake() > now);
        now = *scheduler.next_wake();
    }
    for (std::size_t i = 0; i + 2 < starts.size(); ++i)
        CHECK(starts[i + 2] - starts[i] >= 60'000);
    CHECK(now < kNow + 5 * 64'000);
    // What was counted is remembered, and in time forgotten.
    CHECK(scheduler.destinations() == 1);
    scheduler.prune(now);
    CHECK(scheduler.destinations() == 1);
    CHECK_FALSE(scheduler.next(all(), now + 70'000));
    scheduler.prune(now + 70'001);
    CHECK(scheduler.destinations() == 0);
    CHECK_FALSE(scheduler.next_wake());
}

TEST_CASE("a destination has so many messages in memory, and calls for others when there is room") {
    SchedulerSettings settings;
    settings.ready_messages = 10;
    Scheduler scheduler(settings, [] { return 0.0; });
    std::vector<QueueId> outside;
    for (std::uint32_t i = 0; i < 30; ++i) {
        const auto refused = scheduler.add(offer(i, smtp("a")), kNow);
        if (refused) {
            CHECK(refused->full());
            outside.push_back(message(i));
        }
    }
    CHECK(outside.size() == 20);
    // Another sender's message is let in, and so is one for another destination.
    CHECK_FALSE(scheduler.add(offer(100, smtp("a"), 1, "other@example.org"), kNow));
    CHECK_FALSE(scheduler.add(offer(101, smtp("b")), kNow));
    std::vector<QueueId> called;
    std::size_t jobs = 0;
    while (auto job = scheduler.next(all(), kNow)) {
        ++jobs;
        for (QueueId id : scheduler.finished(job->number, JobOutcome::Reached, kNow, kRetry).called) {
            called.push_back(id);
            REQUIRE_FALSE(scheduler.add({id, smtp("a"), "s@example.org", false, {}, numbers(1, 1)}, kNow));
        }
    }
    CHECK(jobs == 32);
    CHECK(called == outside);
    CHECK(scheduler.ready() == 0);
}

TEST_CASE("a destination that goes down keeps the ids of what it turned away") {
    SchedulerSettings settings;
    settings.ready_messages = 20;
    Scheduler scheduler(settings, [] { return 0.0; });
    for (std::uint32_t i = 0; i < 60; ++i)
        static_cast<void>(scheduler.add(offer(i, smtp("a")), kNow));
    std::size_t parked = 0;
    UnixMillis until = 0;
    for (const auto& job : start_all(scheduler)) {
        auto effect = scheduler.finished(job.number, JobOutcome::NotReached, kNow, kRetry);
        CHECK(effect.called.empty());
        parked += effect.parked.size();
        until = std::max(until, effect.parked_until);
    }
    CHECK(parked == 15);
    REQUIRE(scheduler.destinations_down() == 1);
    REQUIRE_FALSE(scheduler.add(offer(0, smtp("a")), until));
    auto probe = scheduler.next(all(), until);
    REQUIRE(probe);
    auto effect = scheduler.finished(probe->number, JobOutcome::Reached, until, kRetry);
    CHECK(effect.recovered);
    CHECK_FALSE(effect.called.empty());
}

TEST_CASE("counting what is down, and forgetting, costs nothing for each destination") {
    auto scheduler = make_scheduler();
    UnixMillis until = 0;
    for (int i = 0; i < 200; ++i)
        until = bring_down(scheduler, "dead" + std::to_string(i));
    CHECK(scheduler.destinations_down() == 200);
    scheduler.prune(kNow);
    CHECK(scheduler.destinations() == 200);
    scheduler.forgive(smtp("dead7"));
    CHECK(scheduler.destinations_down() == 199);
    scheduler.prune(until);
    CHECK(scheduler.destinations_down() == 199);
    scheduler.prune(until + 1);
    CHECK(scheduler.destinations() == 0);
    CHECK(scheduler.destinations_down() == 0);
}
