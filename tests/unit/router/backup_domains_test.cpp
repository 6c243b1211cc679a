#include "router/backup_domains.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "router/policy.h"
#include "router/resolve.h"
#include "tests/unit/router/table_fixture.h"

namespace postrider::router {

using test::build;
using test::FakeFacts;
using test::tables_of;

namespace {

const std::string kBase = "hostname mx2.test\nlocal_domain local.test\n";

Client stranger() {
    Client client;
    client.address = *config::IpAddress::parse("203.0.113.9");
    client.port = 25;
    return client;
}

std::uint32_t code_for(const std::string& recipient, const Tables& tables) {
    FakeFacts facts;
    return decide_recipient(stranger(), "s@o.test", recipient, tables, facts).verdict.code;
}

wire::Delivery delivery_to(const std::string& address, const Tables& tables) {
    FakeFacts facts;
    wire::Recipient recipient;
    recipient.set_address(address);
    return resolve_recipient(0, recipient, "s@o.test", tables, facts).deliveries(0);
}

}  // namespace

TEST_CASE("T04_mxbackup lines open their domain, or with subdomains the tree, to everybody") {
    const auto tables = tables_of(kBase + "mxbackup hostonly.test\nmxbackup primary.test subdomains\n");
    for (const char* accepted : {"u@hostonly.test", "u@primary.test", "u@server.primary.test",
                                 "u@a.b.primary.test", "u@PRIMARY.Test"}) {
        INFO(accepted);
        CHECK(code_for(accepted, *tables) == 0);
    }
    for (const char* refused :
         {"u@a.hostonly.test", "u@xprimary.test", "u@xhostonly.test", "u@test", "u@primary.test.evil.test"}) {
        INFO(refused);
        CHECK(code_for(refused, *tables) == 550);
    }
    FakeFacts facts;
    const auto decision = decide_recipient(stranger(), "", "u@primary.test", *tables, facts);
    CHECK(decision.verdict.rule == "/etc/postrider/postrider.conf:4");
}

TEST_CASE("T05_a disabled line accepts nothing but delivers what came before") {
    const auto tables = tables_of(kBase +
                                  "mxbackup one.test subdomains disabled\nmxbackup a.two.test disabled\n"
                                  "mxbackup two.test subdomains\nroute * via smart.test\n");
    CHECK(code_for("u@one.test", *tables) == 550);
    CHECK(code_for("u@x.one.test", *tables) == 550);
    CHECK(code_for("u@two.test", *tables) == 0);
    CHECK(code_for("u@a.two.test", *tables) == 550);
    CHECK(delivery_to("u@one.test", *tables).next_hop() == "one.test");

    const auto off = tables_of(kBase + "mxbackup two.test subdomains\nmxbackup_enabled no\n");
    CHECK(code_for("u@two.test", *off) == 550);
    CHECK(delivery_to("u@two.test", *off).next_hop() == "two.test");
    FakeFacts facts;
    CHECK(decide_recipient(stranger(), "", "u@two.test", *off, facts).verdict.rule ==
          "/etc/postrider/postrider.conf:3");
}

TEST_CASE("T07_mail for a primary goes past the default smarthost but not past a route of its own") {
    const auto tables =
        tables_of(kBase +
                  "mxbackup a.test subdomains\nmxbackup b.test\nmxbackup c.test subdomains\nmxbackup d.test\n"
                  "mxbackup e.test subdomains\nmxbackup x.tree.test\n"
                  "route * via smart.test\nroute b.test via [192.0.2.1]\nroute .c.test via [192.0.2.2]\n"
                  "route *.d.test via [192.0.2.3]\nroute *.e.test via [192.0.2.4]\nroute *.tree.test via "
                  "[192.0.2.5]\n");
    struct Case {
        std::string domain;
        std::string next_hop;
        bool backup;
    };
    const std::vector<Case> cases = {
        {"a.test", "a.test", true},
        {"x.y.a.test", "x.y.a.test", true},
        {"b.test", "[192.0.2.1]:25", true},
        {"x.b.test", "smart.test:25", false},
        {"c.test", "c.test", true},
        {"x.c.test", "[192.0.2.2]:25", true},
        {"d.test", "[192.0.2.3]:25", true},
        {"x.d.test", "[192.0.2.3]:25", false},
        {"e.test", "[192.0.2.4]:25", true},
        {"x.e.test", "[192.0.2.4]:25", true},
        {"x.tree.test", "x.tree.test", true},
        {"y.tree.test", "[192.0.2.5]:25", false},
        {"remote.test", "smart.test:25", false},
    };
    for (const auto& c : cases) {
        INFO(c.domain);
        const wire::Delivery delivery = delivery_to("u@" + c.domain, *tables);
        CHECK(delivery.next_hop() == c.next_hop);
        CHECK(delivery.backup() == c.backup);
    }
}

TEST_CASE("mail for a primary is kept for a week and tried often") {
    const auto schedule = [](const std::string& lines) {
        const wire::Delivery delivery =
            delivery_to("u@p.test", *tables_of(kBase + "mxbackup p.test\n" + lines));
        return std::pair(
            delivery.lifetime_seconds(),
            std::vector<std::uint32_t>(delivery.retry_seconds().begin(), delivery.retry_seconds().end()));
    };
    using Waits = std::vector<std::uint32_t>;
    constexpr std::uint32_t kDay = 86400;
    CHECK(schedule("") == std::pair(7 * kDay, Waits{300, 900, 1800}));
    CHECK(schedule("lifetime 10d\nretry 1m,2h\n") == std::pair(10 * kDay, Waits{60, 1800}));
    CHECK(schedule("retry 1m,2m\n") == std::pair(7 * kDay, Waits{60, 120}));
    CHECK(schedule("mxbackup_lifetime 9d\nmxbackup_retry_max 10m\n") == std::pair(9 * kDay, Waits{300, 600}));
    CHECK(schedule("route p.test via [192.0.2.1]\n") == std::pair(7 * kDay, Waits{300, 900, 1800}));
    CHECK(schedule("route p.test mx lifetime=1d retry=1h\n") == std::pair(kDay, Waits{3600}));
    CHECK(schedule("route p.test mx hold hold_expire=never\n") == std::pair(0U, Waits{300, 900, 1800}));
}

TEST_CASE("T17_mxbackup lines that are wrong are refused") {
    struct Case {
        std::string lines;
        std::string error;
    };
    const std::string place = "/etc/postrider/postrider.conf:";
    const std::string plain = "a plain domain; `subdomains` behind it means all below it, too";
    const std::vector<Case> cases = {
        {"mxbackup \"*\"\n", place + "3:10: " + plain},
        {"mxbackup .a.test\n", place + "3:10: " + plain},
        {"mxbackup *.a.test\n", place + "3:10: " + plain},
        {"mxbackup a.test\nmxbackup A.test subdomains\n",
         place + "4:10: a.test is there already, at " + place + "3"},
        {"mxbackup a.test subdomains\nmxbackup a.test\n",
         place + "4:10: a.test is there already, at " + place + "3"},
    };
    for (const auto& c : cases) {
        INFO(c.lines);
        CHECK(build(kBase + c.lines).errors == std::vector<std::string>{c.error});
    }
    for (const char* bad : {"-bad.test", "a..b", "\"\"", "[192.0.2.1]", "a_b.test/c"}) {
        INFO(bad);
        CHECK(build(kBase + "mxbackup " + bad + "\n").errors.size() == 1);
    }
    CHECK(tables_of(kBase + "mxbackup d0main.test\nmxbackup x.photography\nmxbackup xn--bcher-kva.test\n"
                            "mxbackup a.b.c.d.test\n")
              ->backups.find("a.b.c.d.test") != nullptr);
}

TEST_CASE("a domain of our own stays ours whatever its mxbackup line says") {
    const auto tables = tables_of(kBase + "mxbackup local.test\n");
    CHECK(code_for("alice@local.test", *tables) == 0);
    CHECK(code_for("nobody@local.test", *tables) == 550);
    CHECK(delivery_to("alice@local.test", *tables).transport() == wire::TRANSPORT_MAILDIR);
}

TEST_CASE("routes with hold") {
    const auto tables = tables_of(
        kBase +
        "route a.test via [192.0.2.1] hold\nroute b.test mx hold hold_expire=30d\n"
        "route c.test via h.test:26 hold hold_expire=never retry=1m\nroute * via s.test compulsory\n"
        "route hold.test via hold.test\n");
    CHECK(delivery_to("u@a.test", *tables).hold());
    CHECK_FALSE(delivery_to("u@a.test", *tables).never_expires());
    CHECK(delivery_to("u@b.test", *tables).lifetime_seconds() == 30 * 86400);
    CHECK(delivery_to("u@c.test", *tables).never_expires());
    CHECK(delivery_to("u@c.test", *tables).next_hop() == "h.test:26");
    CHECK_FALSE(delivery_to("u@d.test", *tables).hold());
    CHECK_FALSE(delivery_to("u@hold.test", *tables).hold());
    CHECK(tables->routes.find("d.test")->compulsory);
    const std::vector<std::string> wrong = {
        "route a.test discard hold\n",
        "route a.test none hold\n",
        "route a.test via hold\n",
        "route a.test via h.test compulsory\n",
        "route * mx compulsory\n",
        "route a.test mx hold_expire=never\n",
        "route a.test mx hold hold_expire=0s\n",
        "route a.test mx hold hold_expire=soon\n",
        "route a.test mx hold hold_expire=1d lifetime=1d\n",
        "route a.test mx x.test hold\n",
    };
    for (const auto& line : wrong) {
        INFO(line);
        CHECK(build(kBase + line).errors.size() == 1);
    }
}

TEST_CASE("T87_routes with a schedule, and with limits") {
    using Schedule = wire::RouteSchedule;
    struct Case {
        std::string options;
        bool hold;
        Schedule::Kind kind;
        std::uint32_t seconds;
    };
    const std::vector<Case> cases = {{"", false, Schedule::IMMEDIATE, 0},
                                     {"schedule=immediate", false, Schedule::IMMEDIATE, 0},
                                     {"schedule=manual", true, Schedule::IMMEDIATE, 0},
                                     {"schedule=never hold_expire=never", true, Schedule::NEVER, 0},
                                     {"schedule=every:1h", false, Schedule::EVERY, 3600},
                                     {"schedule=every:90s lifetime=1d", false, Schedule::EVERY, 90},
                                     {"schedule=daily:00:00", false, Schedule::DAILY, 0},
                                     {"schedule=daily:23:59", false, Schedule::DAILY, 86'340}};
    for (const Case& one : cases) {
        INFO(one.options);
        const auto tables = tables_of(kBase + "route a.test mx " + one.options + "\n");
        const auto delivery = delivery_to("u@a.test", *tables);
        CHECK(delivery.hold() == one.hold);
        CHECK(delivery.schedule().kind() == one.kind);
        CHECK(delivery.schedule().seconds() == one.seconds);
        CHECK_FALSE(delivery.has_limits());
    }
    const auto tables = tables_of(kBase + "route a.test via h.test maxconn=1 rcpts=10 msgs=20 rate=300/1h\n");
    const wire::RouteLimits limits = delivery_to("u@a.test", *tables).limits();
    CHECK(limits.connections() == 1);
    CHECK(limits.recipients() == 10);
    CHECK(limits.messages() == 20);
    CHECK(limits.rate() == 300);
    CHECK(limits.rate_seconds() == 3600);

    for (const std::string options : {"mx schedule=sometimes",
                                      "mx schedule=every",
                                      "mx schedule=every:0s",
                                      "mx schedule=every:soon",
                                      "mx schedule=daily:24:00",
                                      "mx schedule=daily:2:00",
                                      "mx schedule=daily:02:60",
                                      "mx schedule=daily",
                                      "mx hold schedule=every:1h",
                                      "mx schedule=every:1h retry=5m",
                                      "mx schedule=every:1h hold_expire=1d",
                                      "discard schedule=manual",
                                      "none maxconn=1",
                                      "mx maxconn=0",
                                      "mx rcpts=many",
                                      "mx msgs=-1",
                                      "mx rate=0/1h",
                                      "mx rate=5",
                                      "mx rate=5/0s",
                                      "mx maxconn=100001"}) {
        INFO(options);
        CHECK(build(kBase + "route a.test " + options + "\n").errors.size() == 1);
    }
}

}  // namespace postrider::router
