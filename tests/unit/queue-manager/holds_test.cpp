#include "queue-manager/holds.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "queue-manager/outcome.h"

using namespace postrider;
using namespace postrider::queue_manager;

namespace {

using Names = std::vector<std::string>;

constexpr UnixMillis kHeldArrival = 1'700'000'000'000;
constexpr UnixMillis kHour = 3'600'000;
constexpr UnixMillis kHeldDay = 24 * kHour;

Message message_at(UnixMillis arrival) {
    wire::Envelope envelope;
    envelope.set_sender("s@example.org");
    envelope.set_arrival_ms(arrival);
    envelope.add_recipients()->set_address("r@example.org");
    return {queue_file::Header(), std::move(envelope), Fd()};
}

wire::DeliveryResult deferral(const std::string& status) {
    wire::DeliveryResult result;
    result.set_status(status);
    result.set_text("said so");
    return result;
}

}  // namespace

TEST_CASE("the mark of the mail counts for a domain until the router says otherwise") {
    const DeliverySchedule manual{DeliverySchedule::Kind::Manual, 0};
    const DeliverySchedule hourly{DeliverySchedule::Kind::Every, 3600};
    Holds holds;
    CHECK(holds.empty());
    CHECK(holds.current("b.test", manual) == Holds::Current{manual, 0});
    CHECK(holds.current("a.test", manual).schedule == manual);
    CHECK(holds.current("c.test", hourly).schedule == hourly);
    CHECK(holds.current("c.test", manual).schedule == hourly);
    CHECK(holds.after("", 1000) == Names{"a.test", "b.test", "c.test"});
    CHECK(holds.after("a.test", 1000) == Names{"b.test", "c.test"});
    CHECK(holds.after("", 100) == Names{"a.test", "b.test"});
    CHECK(holds.after("c.test", 1000).empty());

    CHECK(holds.answered({"a.test", "b.test", "gone.test"}, {{"a.test", manual}}, 7) == Names{"b.test"});
    CHECK(holds.current("a.test", manual) == Holds::Current{manual, 0});
    CHECK(holds.current("b.test", manual) == Holds::Current{{}, 7});
    CHECK(holds.current("c.test", hourly).schedule == hourly);
    CHECK(holds.answered({"b.test"}, {}, 8).empty());  // it was free already
    CHECK(holds.answered({"b.test"}, {{"b.test", hourly}}, 9) == Names{"b.test"});
    CHECK(holds.current("b.test", manual) == Holds::Current{hourly, 9});
    for (const char* domain : {"a.test", "b.test", "c.test"})
        holds.forget(domain);
    CHECK(holds.empty());
    CHECK(holds.current("b.test", manual) == Holds::Current{manual, 0});
}

TEST_CASE("T94_what is held is tried when it is flushed, and not again by itself") {
    const Settings settings;
    const auto message = message_at(kHeldArrival);
    ActiveDelivery delivery;
    delivery.held = true;
    delivery.schedule.kind = DeliverySchedule::Kind::Manual;
    delivery.delivery.set_hold(true);
    const JitterSource none = [] { return 0.0; };
    const auto after = [&](UnixMillis now) {
        return judge(settings, message, delivery, deferral("4.4.1"), now, none);
    };
    const Judgement deferred = after(kHeldArrival + kHour);
    CHECK(deferred.phase == Phase::Waiting);
    CHECK(deferred.due == kHeldArrival + 5 * kHeldDay);
    const auto records = attempt_records({deferred}, kHeldArrival + kHour);
    REQUIRE(records.size() == 1);
    CHECK(records[0].attempt().next_attempt_ms() == kNever);
    CHECK(after(kHeldArrival + 5 * kHeldDay).result.status() == "5.4.7");

    delivery.delivery.set_never_expires(true);
    CHECK(after(kHeldArrival + 400 * kHeldDay).due == kNever);
    CHECK(after(kHeldArrival + 400 * kHeldDay).phase == Phase::Waiting);

    // Once the route has no hold any more, the usual schedule counts.
    delivery.held = false;
    delivery.schedule = {};
    CHECK(after(kHeldArrival + kHour).due == kHeldArrival + kHour + 300'000);
}

TEST_CASE("what is held is known as such after a restart") {
    struct Case {
        bool hold;
        UnixMillis next;
        bool held;
    };
    for (const auto& c : {Case{true, 0, true}, Case{true, kNever, true}, Case{true, kHeldArrival, false},
                          Case{false, 0, false}}) {
        queue_file::QueueFile file;
        file.envelope = message_at(kHeldArrival).envelope;
        file.journal = queue_file::JournalState(1);
        wire::JournalRecord resolved;
        auto& delivery = *resolved.mutable_resolved()->add_deliveries();
        delivery.set_number(1);
        delivery.set_hold(c.hold);
        file.journal.apply(resolved);
        if (c.next != 0) {
            wire::JournalRecord attempt;
            attempt.mutable_attempt()->set_next_attempt_ms(c.next);
            attempt.mutable_attempt()->add_results()->set_number(1);
            file.journal.apply(attempt);
        }
        const Message message(std::move(file), Folder::Cur, Fd());
        CHECK(message.deliveries.at(0).held == c.held);
        CHECK(message.is_held() == c.held);
        CHECK(message.holds_something() == c.held);
    }
}

TEST_CASE("T10_a domain whose best MX we are is forgiven for a day") {
    Settings settings;
    const auto message = message_at(kHeldArrival);
    ActiveDelivery delivery;
    delivery.delivery.set_backup(true);
    delivery.delivery.add_retry_seconds(1800);
    const JitterSource none = [] { return 0.0; };
    const auto after = [&](UnixMillis now) {
        return judge(settings, message, delivery, deferral("4.4.6"), now, none);
    };
    const UnixMillis first = kHeldArrival + 2 * kHeldDay;
    CHECK(after(first).phase == Phase::Waiting);
    CHECK(after(first).result.status() == "4.4.6");
    delivery.mx_error_since = first;
    CHECK(after(first + kHour).due == first + kHour + kHour / 2);
    // The last attempt falls on the end of the grace.
    CHECK(after(first + kHeldDay - 1000).due == first + kHeldDay);
    const Judgement failed = after(first + kHeldDay);
    CHECK(failed.phase == Phase::FailedUnsaid);
    CHECK(failed.result.status() == "5.4.6");
    // Another reason in between begins the time anew; without the mark there is none.
    delivery.mx_error_since = 0;
    CHECK(after(first + kHeldDay).phase == Phase::Waiting);
    delivery.mx_error_since = first;
    delivery.delivery.set_backup(false);
    CHECK(after(first + kHeldDay).phase == Phase::Waiting);
    delivery.delivery.set_backup(true);
    delivery.mx_error_since = 0;
    settings.mx_error_grace = Milliseconds(0);
    CHECK(after(first).result.status() == "5.4.6");
}
