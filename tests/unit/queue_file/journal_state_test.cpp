#include "libcommon/queue_file/journal_state.h"

#include <catch2/catch.hpp>

using namespace postrider;
using namespace postrider::queue_file;

namespace {

wire::JournalRecord resolved(std::uint32_t recipient, std::initializer_list<std::uint32_t> numbers,
                             bool more = false) {
    wire::JournalRecord record;
    record.mutable_resolved()->set_recipient(recipient);
    record.mutable_resolved()->set_more(more);
    for (auto number : numbers)
        record.mutable_resolved()->add_deliveries()->set_number(number);
    return record;
}

wire::JournalRecord attempt(std::uint32_t number, wire::DeliveryResult::Outcome outcome,
                            UnixMillis next = 0) {
    wire::JournalRecord record;
    record.mutable_attempt()->set_next_attempt_ms(next);
    auto* result = record.mutable_attempt()->add_results();
    result->set_number(number);
    result->set_outcome(outcome);
    return record;
}

}  // namespace

TEST_CASE("a recipient is resolved with its last record only") {
    JournalState state(2);
    state.apply(resolved(0, {1, 2}, true));
    CHECK_FALSE(state.resolved(0));
    CHECK(state.deliveries().empty());
    CHECK(state.next_number() == 3);
    state.apply(resolved(0, {3}));
    CHECK(state.resolved(0));
    CHECK(state.deliveries().size() == 3);
    CHECK_FALSE(state.resolved(1));
    CHECK_FALSE(state.finished());
}

TEST_CASE("attempts move a delivery from waiting to its end") {
    JournalState state(1);
    state.apply(resolved(0, {1, 2, 3}));
    state.apply(attempt(1, wire::DeliveryResult::DEFERRED, 5000));
    CHECK(state.deliveries().at(1).next_attempt_ms == 5000);
    CHECK(state.deliveries().at(1).attempts == 1);
    state.apply(attempt(1, wire::DeliveryResult::RELAYED));
    state.apply(attempt(2, wire::DeliveryResult::FAILED));
    CHECK(state.deliveries().at(1).phase == DeliveryPhase::Delivered);
    CHECK(state.deliveries().at(2).phase == DeliveryPhase::Failed);
    CHECK_FALSE(state.finished());
    state.apply(attempt(3, wire::DeliveryResult::DELIVERED));
    CHECK(state.finished());
    CHECK(state.attempts() == 4);
}

TEST_CASE("what was delivered is never undone") {
    JournalState state(1);
    state.apply(resolved(0, {1}));
    state.apply(attempt(1, wire::DeliveryResult::DELIVERED));
    state.apply(attempt(1, wire::DeliveryResult::FAILED));
    state.apply(attempt(1, wire::DeliveryResult::DEFERRED, 9));
    CHECK(state.deliveries().at(1).phase == DeliveryPhase::Delivered);
}

TEST_CASE("records that make no sense are ignored") {
    JournalState state(1);
    state.apply(wire::JournalRecord());
    state.apply(resolved(1, {1}));
    state.apply(resolved(0xFFFFFFFF, {1}));
    state.apply(attempt(1, wire::DeliveryResult::DELIVERED));
    CHECK(state.deliveries().empty());
    state.apply(resolved(0, {1}));
    state.apply(resolved(0, {2}));  // a recipient is resolved once
    CHECK(state.deliveries().size() == 1);
    CHECK(state.next_number() == 2);
}

TEST_CASE("a delay report is remembered, a failure report is none") {
    JournalState state(2);
    state.apply(resolved(0, {1, 2}));
    wire::JournalRecord record;
    record.mutable_report()->add_deliveries(1);
    state.apply(record);
    CHECK(state.deliveries().at(1).reported);
    CHECK_FALSE(state.deliveries().at(1).delay_reported);
    record.mutable_report()->set_delay(true);
    record.mutable_report()->set_deliveries(0, 2);
    record.mutable_report()->add_recipients(1);
    record.mutable_report()->add_recipients(7);
    state.apply(record);
    CHECK_FALSE(state.deliveries().at(1).delay_reported);
    CHECK(state.deliveries().at(2).delay_reported);
    CHECK_FALSE(state.deliveries().at(2).reported);
    CHECK(state.delayed_recipients() == std::set<std::uint32_t>{1});
    // What such a recipient becomes is known to be late.
    wire::JournalRecord later = resolved(1, {3});
    later.mutable_resolved()->mutable_deliveries(0)->set_delay_told(true);
    state.apply(later);
    CHECK(state.deliveries().at(3).delay_reported);
}

TEST_CASE("the journal knows since when a domain's best MX is this host") {
    JournalState state(1);
    state.apply(resolved(0, {1}));
    const auto attempted = [&](const std::string& status, UnixMillis time) {
        wire::JournalRecord record = attempt(1, wire::DeliveryResult::DEFERRED, time + 1000);
        record.mutable_attempt()->set_time_ms(time);
        record.mutable_attempt()->mutable_results(0)->set_status(status);
        state.apply(record);
        return state.deliveries().at(1).mx_error_since_ms;
    };
    CHECK(attempted("4.4.1", 100) == 0);
    CHECK(attempted("4.4.6", 200) == 200);
    CHECK(attempted("4.4.6", 300) == 200);
    CHECK(attempted("4.4.3", 400) == 0);
    CHECK(attempted("4.4.6", 500) == 500);
}

namespace {

wire::JournalRecord order(wire::OrderRecord::Action action, UnixMillis time = 1000) {
    wire::JournalRecord record;
    record.mutable_order()->set_action(action);
    record.mutable_order()->set_time_ms(time);
    return record;
}

wire::JournalRecord reported(std::uint32_t number) {
    wire::JournalRecord record;
    record.mutable_report()->add_deliveries(number);
    return record;
}

}  // namespace

TEST_CASE("a message is held until it is released, or has to fail") {
    using Order = wire::OrderRecord;
    JournalState state(1);
    state.apply(order(Order::HOLD));
    REQUIRE(state.held() != nullptr);
    state.apply(order(Order::RELEASE));
    CHECK(state.held() == nullptr);
    state.apply(order(Order::HOLD));
    state.apply(order(Order::FAIL));
    CHECK(state.held() == nullptr);
    CHECK(state.failing() != nullptr);
    state.apply(order(Order::NONE));
    CHECK(state.failing() != nullptr);
    state.apply(order(Order::REQUEUE));
    CHECK(state.failing() == nullptr);
}

TEST_CASE("what is open is resolved again, by one record, and what has ended stays") {
    JournalState state(3);
    state.apply(resolved(0, {1, 2}));
    state.apply(resolved(1, {3}));
    state.apply(resolved(2, {4}));
    state.apply(attempt(1, wire::DeliveryResult::DELIVERED));
    state.apply(attempt(2, wire::DeliveryResult::DEFERRED, 5));
    state.apply(attempt(3, wire::DeliveryResult::RELAYED));
    state.apply(attempt(4, wire::DeliveryResult::FAILED));
    CHECK_FALSE(state.rerouted());
    state.apply(order(wire::OrderRecord::REROUTE));
    CHECK(state.rerouted());
    CHECK_FALSE(state.resolved(0));
    CHECK(state.resolved(1));
    CHECK(state.resolved(2));
    CHECK(state.deliveries().size() == 3);
    CHECK(state.deliveries().count(2) == 0);
    CHECK(state.deliveries().at(1).recipient == 0);
    // A late result of what is not there any more changes nothing, and its number is not given again.
    state.apply(attempt(2, wire::DeliveryResult::DELIVERED));
    CHECK(state.next_number() == 5);
    state.apply(resolved(0, {5}));
    CHECK(state.resolved(0));
    CHECK(state.deliveries().at(5).recipient == 0);
    state.apply(attempt(5, wire::DeliveryResult::DELIVERED));
    CHECK(state.finished());
}

TEST_CASE("a recipient whose forward file leads elsewhere is resolved again as a whole") {
    JournalState state(2);
    state.apply(resolved(0, {1}));
    state.apply(resolved(1, {2}));
    state.apply(attempt(2, wire::DeliveryResult::EXPANDED));
    auto expansion = resolved(0, {3, 4});
    expansion.mutable_resolved()->set_delivery(2);
    state.apply(expansion);
    CHECK(state.deliveries().at(3).recipient == 1);
    state.apply(attempt(1, wire::DeliveryResult::DELIVERED));
    state.apply(attempt(3, wire::DeliveryResult::DELIVERED));
    state.apply(order(wire::OrderRecord::REROUTE));
    CHECK(state.resolved(0));
    CHECK_FALSE(state.resolved(1));
    CHECK(state.deliveries().count(4) == 0);
    CHECK(state.deliveries().count(3) == 1);
}

TEST_CASE("what failed and was not told is tried again with a fresh lifetime") {
    JournalState state(3);
    for (std::uint32_t i = 0; i < 3; ++i)
        state.apply(resolved(i, {i + 1}));
    state.apply(attempt(1, wire::DeliveryResult::FAILED));
    state.apply(attempt(2, wire::DeliveryResult::FAILED));
    state.apply(reported(2));
    state.apply(attempt(3, wire::DeliveryResult::DELIVERED));
    CHECK(state.finished());
    state.apply(order(wire::OrderRecord::REQUEUE, 77));
    CHECK(state.requeued_ms() == 77);
    CHECK_FALSE(state.resolved(0));
    CHECK(state.resolved(1));
    CHECK(state.resolved(2));
    CHECK_FALSE(state.finished());
    // Twice is as once: a crash may make an administrator say it again.
    state.apply(order(wire::OrderRecord::REQUEUE, 88));
    CHECK(state.requeued_ms() == 88);
    CHECK(state.deliveries().size() == 2);
}
