#include "admin/overview_text.h"

#include <catch2/catch.hpp>

using namespace postrider;
using namespace postrider::admin;

namespace {

constexpr UnixMillis kNow = 1'700'000'000'000;

wire::Shape shape_of_three() {
    wire::Shape shape;
    const auto add = [](wire::ShapeRow& row, const char* name, std::uint64_t young, std::uint64_t old) {
        row.set_name(name);
        for (int i = 0; i < 10; ++i)
            row.add_counts(i == 0 ? young : i == 9 ? old : 0);
    };
    add(*shape.mutable_total(), "", 7, 5);
    add(*shape.add_rows(), "few.test", 1, 0);
    add(*shape.add_rows(), "many.test", 6, 4);
    add(*shape.add_rows(), "", 0, 1);
    return shape;
}

}  // namespace

TEST_CASE("the shape of the queue is a table with the longest rows first") {
    const std::string text = shape_text(shape_of_three(), 0, false);
    CHECK_THAT(text, Catch::Contains("TOTAL      12      7"));
    CHECK(text.find("many.test") < text.find("few.test"));
    CHECK(text.find("few.test") < text.find("<>"));
    CHECK_THAT(text, Catch::Contains("1280+"));
    CHECK_THAT(text, !Catch::Contains("#"));
    const std::string top = shape_text(shape_of_three(), 1, true);
    CHECK_THAT(top, Catch::Contains("####################\n"));
    CHECK_THAT(top, Catch::Contains("and 2 more"));
    CHECK_THAT(top, !Catch::Contains("few.test"));
    CHECK_THAT(shape_text(wire::Shape(), 5, true), Catch::Contains("TOTAL"));
}

TEST_CASE("a destination that is down says why and when it is tried") {
    wire::DestinationState down;
    down.set_transport(wire::TRANSPORT_SMTP);
    down.set_next_hop("mx.test");
    down.set_state("down");
    down.set_waiting(12);
    down.set_last_failure_ms(kNow - 60'000);
    down.set_last_reply("4.4.1 connection refused\x1b[2J");
    down.set_next_probe_ms(kNow + 300'000);
    const std::string table = destinations_text({down}, kNow);
    CHECK_THAT(table, Catch::Contains("down") && Catch::Contains("in 5m"));
    CHECK_THAT(table, Catch::Contains("60s ago: 4.4.1 connection refused?[2J"));
    const std::string one = destination_text({down}, kNow);
    CHECK_THAT(one, Catch::Contains("waiting       12\n"));
    down.set_suspended(true);
    CHECK_THAT(destinations_text({down}, kNow), Catch::Contains("suspended"));
    CHECK(destinations_text({}, kNow) == "No destination is in use.\n");
}

TEST_CASE("a trace is a line for each event, as in the log") {
    wire::TraceEvent event;
    event.set_time_ms(kNow + 5);
    event.set_event("relayed");
    auto* host = event.add_fields();
    host->set_name("host");
    host->set_value("mx.test[192.0.2.1]:25");
    auto* reply = event.add_fields();
    reply->set_name("reply");
    reply->set_value("250 ok");
    CHECK(trace_text({event}) ==
          "2023-11-14T22:13:20.005Z  relayed host=mx.test[192.0.2.1]:25 reply=\"250 ok\"\n");
}
