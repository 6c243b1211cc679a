#include "queue-manager/agenda.h"

#include <catch2/catch.hpp>

#include <optional>
#include <string>

using namespace postrider;
using namespace postrider::queue_manager;

namespace {

constexpr UnixMillis kAgendaHour = 3'600'000;
constexpr UnixMillis kAgendaDay = 24 * kAgendaHour;
// A full hour, in any zone that is whole hours away from UTC.
constexpr UnixMillis kArrival = 1'700'000'000'000 - 1'700'000'000'000 % kAgendaHour;
constexpr Milliseconds kLifetime(5 * kAgendaDay);

const DeliverySchedule kImmediate;
const DeliverySchedule kManual{DeliverySchedule::Kind::Manual, 0};
const DeliverySchedule kQuarterly{DeliverySchedule::Kind::Every, 900};

double no_jitter() {
    return 0.0;
}

DeliveryTimes times(DeliverySchedule schedule, std::uint32_t attempts, Milliseconds lifetime = kLifetime) {
    return {{{Milliseconds(300'000), Milliseconds(900'000)}, lifetime, 0}, schedule, kArrival, attempts};
}

DestinationKey host(const std::string& name) {
    return {wire::TRANSPORT_SMTP, name};
}

/// Fails connections to `name` until it is down.
UnixMillis take_down(Agenda& agenda, const std::string& name, UnixMillis now) {
    for (std::uint32_t i = 0; i < 3; ++i) {
        REQUIRE_FALSE(
            agenda.scheduler().add({QueueId(now, 900 + i), host(name), "s", false, {}, {{1, 10}}}, now));
        const auto job = agenda.scheduler().next(TransportSet().set(), now);
        REQUIRE(job);
        static_cast<void>(agenda.finished(*job, JobOutcome::NotReached, now, Milliseconds(kAgendaHour)));
    }
    const auto until = agenda.scheduler().refused_until(host(name), now);
    REQUIRE(until);
    return *until;
}

WaitingIndex::Entry entry(Agenda& agenda, UnixMillis due) {
    WaitingIndex::Entry made;
    made.due = due;
    made.known = true;
    made.topics.push_back(agenda.waiting().topic("a.test"));
    return made;
}

}  // namespace

TEST_CASE("T79 T87_when a delivery is tried again that was deferred") {
    const UnixMillis end = kArrival + 5 * kAgendaDay;
    struct Case {
        const char* name;
        DeliverySchedule schedule;
        std::uint32_t attempts;
        UnixMillis now;
        std::optional<UnixMillis> next;
    };
    for (const Case& c :
         {Case{"first", kImmediate, 0, kArrival + 10, kArrival + 10 + 300'000},
          Case{"second", kImmediate, 1, kArrival + 10, kArrival + 10 + 900'000},
          Case{"last", kImmediate, 9, end - 10, end}, Case{"over", kImmediate, 9, end, std::nullopt},
          Case{"held", kManual, 0, kArrival + 10, end}, Case{"held and over", kManual, 0, end, std::nullopt},
          Case{"next quarter", kQuarterly, 0, kArrival + 10, kArrival + 900'000},
          Case{"at a quarter", kQuarterly, 5, kArrival + 900'000, kArrival + 1'800'000},
          Case{"quarter behind its end", kQuarterly, 5, end - 10, end},
          Case{"quarter when it is over", kQuarterly, 5, end, std::nullopt}}) {
        INFO(c.name);
        CHECK(times(c.schedule, c.attempts).after_deferral(c.now, no_jitter) == c.next);
    }
}

TEST_CASE("T81_what becomes of a delivery that its destination has no room for") {
    Settings settings;
    Agenda agenda(settings, no_jitter);
    const UnixMillis end = kArrival + 5 * kAgendaDay;
    const UnixMillis hard = end + 2 * kAgendaDay;
    const Refusal full{Refusal::kWhenCalled};
    struct Case {
        const char* name;
        DeliverySchedule schedule;
        std::uint32_t attempts;
        Refusal refusal;
        UnixMillis now;
        bool given_up;
        UnixMillis due;
    };
    const UnixMillis hour = kArrival + kAgendaHour;
    for (const Case& c :
         {Case{"down", kImmediate, 1, {hour + 9}, hour, false, hour + 9},
          Case{"down at its end", kImmediate, 1, {end + 9}, end, true, 0},
          Case{"down, never tried", kImmediate, 0, {end + 9}, end, false, end + 9},
          Case{"down, never tried, and two days more", kImmediate, 0, {hard + 9}, hard, true, 0},
          Case{"full", kImmediate, 0, full, hour, false, hour + 6 * kAgendaHour},
          Case{"full near its end", kImmediate, 1, full, end - 5, false, end},
          Case{"full at its end", kImmediate, 1, full, end, true, 0},
          Case{"full at its end, never tried", kImmediate, 0, full, hard - 5, false, hard},
          Case{"flushed, and down", kManual, 1, {hour + 9}, hour, false, end},
          Case{"the time of its route finds it probed",
               kQuarterly,
               1,
               {hour + 9, true},
               hour,
               false,
               hour + 9},
          Case{"the time of its route finds it down",
               kQuarterly,
               1,
               {hour + 9},
               hour,
               false,
               hour + 900'000}}) {
        INFO(c.name);
        const auto postponement =
            agenda.postpone(c.refusal, times(c.schedule, c.attempts), host("a.test"), c.now);
        CHECK(postponement.given_up == c.given_up);
        CHECK(postponement.due == c.due);
    }
    // The attempts of others count as well, and a late start gives another two days.
    static_cast<void>(take_down(agenda, "a.test", end - 10));
    CHECK(agenda.postpone({end + 9}, times(kImmediate, 0), host("a.test"), end).given_up);
    agenda.start(kArrival + 20 * kAgendaDay);
    CHECK(agenda.hard_end(times(kImmediate, 0).end()) == kArrival + 22 * kAgendaDay);
    CHECK(agenda.hard_end(times(kImmediate, 0, RetrySchedule::kForever).end()) == kNever);
}

TEST_CASE("what waits for a host that is down is not read before its time, and goes when the host is up") {
    Settings settings;
    Agenda agenda(settings, no_jitter);
    const UnixMillis until = take_down(agenda, "a.test", kArrival);
    for (std::uint32_t i = 0; i < 3; ++i)
        agenda.wait(QueueId(kArrival, i), entry(agenda, kArrival + 10),
                    Agenda::Only{"a.test", kArrival + kAgendaDay}, kArrival);
    // One that was tried itself waits for its own time, or for the host.
    agenda.wait(QueueId(kArrival, 9), entry(agenda, until + kAgendaHour),
                Agenda::Only{"a.test", kArrival + kAgendaDay}, kArrival);
    CHECK_FALSE(agenda.next_to_load(kArrival + 10));
    CHECK(agenda.next_event() == until);
    const auto probe = agenda.next_to_load(until);
    REQUIRE(probe);
    agenda.load_ended(probe->id);
    REQUIRE_FALSE(agenda.scheduler().add({probe->id, host("a.test"), "s", false, {}, {{1, 10}}}, until));
    // The others wait for what it finds out.
    CHECK_FALSE(agenda.next_to_load(until));
    const auto job = agenda.scheduler().next(TransportSet().set(), until);
    REQUIRE(job);
    const auto ended = agenda.finished(*job, JobOutcome::Reached, until + 5, Milliseconds(1));
    CHECK(ended.recovered);
    CHECK(ended.released == 3);
    CHECK(agenda.next_event() == until + 5);
    for (int i = 0; i < 3; ++i)
        CHECK(agenda.next_to_load(until + 5));
}

TEST_CASE("what waits for a host that is down is read when the lifetime of its route is over") {
    Settings settings;
    Agenda agenda(settings, no_jitter);
    static_cast<void>(take_down(agenda, "a.test", kArrival));
    agenda.wait(QueueId(kArrival, 1), entry(agenda, kArrival),
                Agenda::Only{"a.test", kArrival + 2 * kAgendaHour}, kArrival);
    CHECK_FALSE(agenda.next_to_load(kArrival));
    // Down all the time.
    const UnixMillis later = kArrival + 2 * kAgendaHour;
    REQUIRE_FALSE(
        agenda.scheduler().add({QueueId(later, 9), host("a.test"), "s", false, {}, {{1, 10}}}, later - 1));
    const auto probe = agenda.scheduler().next(TransportSet().set(), later - 1);
    REQUIRE(probe);
    static_cast<void>(agenda.finished(*probe, JobOutcome::NotReached, later - 1, Milliseconds(kAgendaHour)));
    REQUIRE(agenda.scheduler().refused_until(host("a.test"), later));
    CHECK(agenda.next_to_load(later));
}

TEST_CASE("while new mail comes in, what is due on disk is read with pauses") {
    Settings settings;
    Agenda agenda(settings, no_jitter);
    constexpr std::uint32_t kSlice = 64;
    for (std::uint32_t i = 0; i < 4 * kSlice; ++i)
        agenda.waiting().add(QueueId(kArrival, i), entry(agenda, kArrival));
    const auto read_slice = [&](UnixMillis now) {
        for (std::uint32_t i = 0; i < kSlice; ++i) {
            const auto loading = agenda.next_to_load(now + (i + 1) / kSlice * 5);
            REQUIRE(loading);
            agenda.load_ended(loading->id);
        }
    };
    // Without new mail there is none.
    read_slice(kArrival);
    read_slice(kArrival + 5);
    // It takes 5 ms and then there is a pause of 35.
    agenda.arrived();
    REQUIRE(agenda.next_to_load(kArrival + 10));
    agenda.load_ended(QueueId(kArrival, 2 * kSlice));
    agenda.arrived();
    for (std::uint32_t i = 1; i < kSlice; ++i) {
        const auto loading = agenda.next_to_load(kArrival + 15);
        REQUIRE(loading);
        agenda.load_ended(loading->id);
    }
    CHECK_FALSE(agenda.next_to_load(kArrival + 49));
    CHECK(agenda.next_event() == kArrival + 50);
    CHECK(agenda.next_to_load(kArrival + 50));
}

TEST_CASE("as much is read as there is room for in memory") {
    Settings settings;
    settings.active_messages = 9;
    settings.active_recipients = 10;
    Agenda agenda(settings, no_jitter);
    // A tenth of it is for what was read from disk, the rest for new mail.
    CHECK(agenda.room_for(1000));  // one always may
    agenda.enter(8);
    CHECK(agenda.room_for(2));
    CHECK_FALSE(agenda.room_for(3));
    agenda.enter(1);
    agenda.enter(1);
    agenda.waiting().add(QueueId(kArrival, 1), entry(agenda, kArrival));
    CHECK_FALSE(agenda.next_to_load(kArrival));
    CHECK_FALSE(agenda.next_event());
    UnixMillis timer = 0;
    agenda.set_timer(QueueId(kArrival, 2), timer, kArrival + 7);
    CHECK(agenda.next_event() == kArrival + 7);
    CHECK(agenda.timers_due(kArrival + 6).empty());
    CHECK(agenda.timers_due(kArrival + 7).size() == 1);
    agenda.leave(QueueId(kArrival, 2), timer, 8);
    CHECK(timer == 0);
    CHECK(agenda.next_event() == kArrival);
    const auto loading = agenda.next_to_load(kArrival);
    REQUIRE(loading);
    CHECK(agenda.loading().size() == 1);
    agenda.load_ended(loading->id);
    CHECK_FALSE(agenda.next_event());
    // It is in memory now; for another one there is room only if it is new.
    agenda.enter(1, true);
    agenda.waiting().add(QueueId(kArrival, 3), entry(agenda, kArrival));
    CHECK(agenda.room_for(1));
    CHECK_FALSE(agenda.next_to_load(kArrival));
    CHECK_FALSE(agenda.next_event());
    UnixMillis other = 0;
    agenda.leave(QueueId(kArrival, 1), other, 1, true);
    CHECK(agenda.next_to_load(kArrival));
}
