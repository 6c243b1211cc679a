#include "queue-manager/trace.h"

#include <catch2/catch.hpp>

#include "queue-manager/overview.h"

using namespace postrider;
using namespace postrider::queue_manager;

namespace {

std::string field(const wire::TraceEvent& event, std::string_view name) {
    for (const auto& each : event.fields()) {
        if (each.name() == name) return each.value();
    }
    return "(none)";
}

wire::Envelope envelope_of_two() {
    wire::Envelope envelope;
    envelope.set_sender("s@example.org");
    envelope.set_arrival_ms(1000);
    envelope.set_client_address("192.0.2.9");
    envelope.set_helo("client.test");
    envelope.set_protocol("ESMTP");
    envelope.add_recipients()->set_address("team@x.test");
    envelope.add_recipients()->set_address("b@x.test");
    return envelope;
}

/// team is a and b; a is deferred and then delivered, and the postmaster has something to say.
std::vector<wire::JournalRecord> some_history() {
    std::vector<wire::JournalRecord> records(5);
    auto& resolved = *records[0].mutable_resolved();
    resolved.set_time_ms(1100);
    auto* delivery = resolved.add_deliveries();
    delivery->set_number(1);
    delivery->set_recipient("a@y.test");
    delivery->set_next_hop("y.test");
    delivery->set_rule("aliases:3");
    auto& deferred = *records[1].mutable_attempt();
    deferred.set_time_ms(1200);
    deferred.set_next_attempt_ms(301'200);
    auto* result = deferred.add_results();
    result->set_number(1);
    result->set_status("4.2.1");
    result->set_text("450 later");
    records[2].mutable_order()->set_action(wire::OrderRecord::HOLD);
    records[2].mutable_order()->set_by(42);
    records[2].mutable_order()->set_time_ms(1300);
    records[3].mutable_order()->set_action(wire::OrderRecord::RELEASE);
    auto& done = *records[4].mutable_attempt();
    done.set_time_ms(1500);
    result = done.add_results();
    result->set_number(1);
    result->set_outcome(wire::DeliveryResult::RELAYED);
    result->set_remote_host("mx.y.test[192.0.2.1]:25");
    result->set_milliseconds(12);
    return records;
}

FinishedMessage finished(std::uint32_t number) {
    FinishedMessage message;
    message.id = queue_file::QueueId(5000, number);
    message.event = "removed";
    message.time = 9000 + number;
    message.envelope = envelope_of_two().SerializeAsString();
    message.unwritten = some_history();
    return message;
}

}  // namespace

TEST_CASE("a trace has every event in its order, with what is known of it") {
    const auto events = trace_of(envelope_of_two(), 777, some_history());
    REQUIRE(events.size() == 6);
    const char* names[] = {"received", "resolved", "deferred", "held", "released", "relayed"};
    for (std::size_t i = 0; i < events.size(); ++i)
        CHECK(events[i].event() == names[i]);
    CHECK(events[0].time_ms() == 1000);
    CHECK(field(events[0], "client") == "192.0.2.9");
    CHECK(field(events[0], "size") == "777");
    CHECK(field(events[0], "to") == "<team@x.test>");
    CHECK(field(events[1], "recipient") == "<team@x.test>");
    CHECK(field(events[1], "to") == "<a@y.test>");
    CHECK(field(events[1], "rule") == "aliases:3");
    CHECK(field(events[2], "retry_in") == "300s");
    CHECK(field(events[2], "to") == "<a@y.test>");
    CHECK(field(events[3], "by_uid") == "42");
    CHECK(field(events[5], "host") == "mx.y.test[192.0.2.1]:25");
    CHECK(field(events[5], "took") == "12ms");
    CHECK(field(events[5], "retry_in") == "(none)");
}

TEST_CASE("what ended last is remembered, and no more than that") {
    TraceRing ring(3);
    for (std::uint32_t i = 0; i < 5; ++i)
        ring.add(finished(i));
    CHECK(ring.size() == 3);
    CHECK(ring.find(queue_file::QueueId(5000, 1)) == nullptr);
    for (std::uint32_t i = 2; i < 5; ++i) {
        const auto* message = ring.find(queue_file::QueueId(5000, i));
        REQUIRE(message != nullptr);
        const auto events = trace_of(*message);
        REQUIRE(events.size() == 7);
        CHECK(events.back().event() == "removed");
        CHECK(events.back().time_ms() == 9000 + i);
    }
    // The same message twice, as when it came back after a power cut: the later one counts.
    ring.add(finished(4));
    ring.add(finished(4));
    ring.add(finished(5));
    CHECK(ring.find(queue_file::QueueId(5000, 4)) != nullptr);
    TraceRing none(0);
    none.add(finished(1));
    CHECK(none.size() == 0);
}

TEST_CASE("domains of senders have numbers") {
    SenderNames names;
    const auto first = names.number("a.test");
    CHECK(names.number("a.test") == first);
    CHECK(names.number("b.test") != first);
    CHECK(names.name(first) == "a.test");
    CHECK(names.name(0) == "(others)");
    CHECK(names.name(12345) == "(others)");
}

TEST_CASE("ages fall into the columns of the table") {
    constexpr UnixMillis kMinute = 60'000;
    struct Case {
        UnixMillis age;
        std::size_t column;
    };
    for (const auto& test : {Case{0, 0}, Case{5 * kMinute - 1, 0}, Case{5 * kMinute, 1},
                             Case{10 * kMinute, 2}, Case{20 * kMinute, 3}, Case{639 * kMinute, 7},
                             Case{640 * kMinute, 8}, Case{1280 * kMinute, 9}, Case{100'000 * kMinute, 9}})
        CHECK(shape_column(test.age) == test.column);
}
