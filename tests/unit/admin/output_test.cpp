#include "admin/output.h"

#include <catch2/catch.hpp>

#include "admin/json_output.h"

using namespace postrider;
using namespace postrider::admin;

TEST_CASE("durations are short and never zero by rounding") {
    struct Case {
        std::int64_t seconds;
        const char* text;
    };
    const Case cases[] = {{0, "0s"},      {119, "119s"}, {120, "2m"},
                          {7199, "119m"}, {7200, "2h"},  {172800, "2d"}};
    for (const auto& each : cases)
        CHECK(short_duration(Seconds(each.seconds)) == each.text);
}

TEST_CASE("one is one, and all other numbers are several") {
    CHECK(counted(0, "message") == "0 messages");
    CHECK(counted(1, "message") == "1 message");
    CHECK(counted(2, "attempt") == "2 attempts");
}

TEST_CASE("a listing shows no control characters of a stranger") {
    wire::QueueEntry entry;
    entry.set_queue_id("0123456789ABCDEF");
    entry.set_sender("evil\x1b[2J@x");
    entry.set_size(1234);
    entry.set_arrival_ms(1'000'000);
    entry.set_next_attempt_ms(1'600'000);
    entry.set_state("waiting");
    auto* recipient = entry.add_recipients();
    recipient->set_address("a@b");
    recipient->set_state("waiting");
    recipient->set_last_reply("450 4.2.0 later\r\nforged");
    const std::string text = queue_text({entry}, 1'300'000);
    CHECK(text.find("0123456789ABCDEF     1234     5m  waiting         5m  <evil?[2J@x>") !=
          std::string::npos);
    CHECK(text.find("<a@b>: 450 4.2.0 later??forged\n") != std::string::npos);
    CHECK(text.find("1 message\n") != std::string::npos);
    CHECK(queue_text({}, 0) == "The queue is empty.\n");
    CHECK(queue_json({entry}).find("\"next_attempt\": 1600000") != std::string::npos);
}

TEST_CASE("the list of daemons and /proc are read, and nonsense is skipped") {
    auto daemons = parse_daemon_file("router 12 0\nnonsense\nsmtpd -3 1\nqueue-manager 15 2\n");
    REQUIRE(daemons.size() == 2);
    CHECK(daemons[1].name == "queue-manager");
    CHECK(daemons[1].pid == 15);
    CHECK(daemons[1].restarts == 2);
    parse_proc_status(
        "Name:\tx\nUid:\t64201\t64201\t64201\t64201\nGid:\t7\t7\t7\t7\nCapEff:\t0000000000000000\n"
        "NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\nVmRSS:\t    1234 kB\n",
        daemons[0]);
    CHECK(daemons[0].running);
    CHECK(daemons[0].uid == 64201);
    CHECK(daemons[0].gid == 7);
    CHECK(daemons[0].capabilities == "0000000000000000");
    CHECK(daemons[0].seccomp == 2);
    CHECK(daemons[0].no_new_privileges);
    CHECK(daemons[0].resident_kib == 1234);
}
