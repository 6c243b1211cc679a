// What `mx=` admits leaves as the mail of an `mxbackup` line does.

#include "router/way_out.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "router/mx_check.h"
#include "router/policy.h"
#include "router/resolve.h"
#include "tests/unit/router/table_fixture.h"

namespace postrider::router {

using test::FakeFacts;
using test::tables_of;

namespace {

const std::string kUs =
    "hostname mx2.test\nself_address 192.0.2.10\nlocal_domain local.test\nalias_file * aliases\n";
const std::string kAliases = "list: alice, u@primary.test, u@servfail.test\none: u@servfail.test\n";

/// Backups and their primaries in the DNS.
class World : public FakeFacts {
  public:
    World() {
        set_addresses("p.test", {"192.0.2.20"});
        set_addresses("us.test", {"192.0.2.10"});
        set_addresses("inside.test", {"10.0.0.1"});
        set_mx("primary.test", {{10, "p.test"}, {20, "us.test"}});
        set_mx("bestus.test", {{10, "us.test"}});
        set_mx("remote.test", {{10, "p.test"}});
        set_mx("private.test", {{10, "inside.test"}, {20, "us.test"}});
        set_mx("nullmx.test", {{0, ""}});
        set_dns("servfail.test", dns::Type::Mx, FactState::Unavailable);
    }
};

wire::ResolvedRecipient resolve(const std::string& address, const Tables& tables) {
    World facts;
    wire::Recipient recipient;
    recipient.set_address(address);
    return resolve_recipient(0, recipient, "s@o.test", tables, facts);
}

std::uint32_t code_for(const std::string& recipient, const Tables& tables) {
    Client stranger;
    stranger.address = *config::IpAddress::parse("203.0.113.9");
    World facts;
    return decide_recipient(stranger, "s@o.test", recipient, tables, facts).verdict.code;
}

}  // namespace

TEST_CASE("mail that mx= admits goes past the default route, but not past one of its own") {
    struct Case {
        std::string lines;
        std::string domain;
        std::string next_hop;
        bool backup;
        std::string rule;
    };
    const std::string smarthost = "route * via smart.test hold retry=2h lifetime=1d\n";
    const std::vector<Case> cases = {
        {"default rcpt mx=backup\n" + smarthost, "primary.test", "primary.test", true, "5"},
        {"rcpt *.primary.test mx=backup\n" + smarthost, "primary.test", "primary.test", true, "5"},
        {"default rcpt mx=any\n" + smarthost, "primary.test", "primary.test", true, "5"},
        {"default rcpt mx=any\n" + smarthost, "bestus.test", "smart.test:25", false, "6"},
        {"default rcpt mx=backup\n" + smarthost, "bestus.test", "smart.test:25", false, "6"},
        {"default rcpt mx=backup\n" + smarthost, "remote.test", "smart.test:25", false, "6"},
        {"default rcpt mx=backup\n" + smarthost, "private.test", "smart.test:25", false, "6"},
        {"default rcpt mx=backup\n" + smarthost, "nullmx.test", "smart.test:25", false, "6"},
        {"default rcpt mx=backup\n" + smarthost, "[192.0.2.10]", "smart.test:25", false, "6"},
        {"default rcpt mx=backup\nrcpt primary.test mx=off\n" + smarthost, "primary.test", "smart.test:25",
         false, "7"},
        {smarthost, "primary.test", "smart.test:25", false, "5"},
        {"default rcpt mx=backup\n" + smarthost + "route primary.test via [192.0.2.20]:2525\n",
         "primary.test", "[192.0.2.20]:2525", true, "7"},
        {"default rcpt mx=backup\n" + smarthost + "route *.test via [192.0.2.20]:2525\n", "primary.test",
         "[192.0.2.20]:2525", true, "7"},
        {"default rcpt mx=backup\n", "primary.test", "primary.test", true, "5"},
        {"default rcpt mx=backup\n", "remote.test", "remote.test", false, "default"},
    };
    for (const auto& c : cases) {
        CAPTURE(c.lines, c.domain);
        const auto tables = tables_of(kUs + c.lines, {{"aliases", kAliases}});
        const wire::ResolvedRecipient resolved = resolve("u@" + c.domain, *tables);
        REQUIRE(resolved.deliveries_size() == 1);
        const wire::Delivery& delivery = resolved.deliveries(0);
        CHECK(delivery.next_hop() == c.next_hop);
        CHECK(delivery.backup() == c.backup);
        const std::string rule = c.rule == "default" ? c.rule : "/etc/postrider/postrider.conf:" + c.rule;
        CHECK(delivery.rule() == rule);
        // The default route holds or does not as a whole; the schedule of a backup is its own.
        CHECK(delivery.hold() == (c.next_hop == "smart.test:25"));
        if (c.next_hop == "primary.test") CHECK(delivery.lifetime_seconds() == 7 * 24 * 60 * 60);
    }
}

TEST_CASE("a domain that mx= admits does not depend on what the default route says") {
    for (const char* route : {"none", "error \"550 5.1.2 no way\"", "discard", "via smart.test"}) {
        CAPTURE(route);
        const auto tables =
            tables_of(kUs + "default rcpt mx=backup\nroute * " + route + "\n", {{"aliases", kAliases}});
        CHECK(code_for("u@primary.test", *tables) == 0);
        CHECK(code_for("u@remote.test", *tables) == 550);
    }
    const auto own =
        tables_of(kUs + "default rcpt mx=backup\nroute primary.test none\n", {{"aliases", kAliases}});
    CHECK(code_for("u@primary.test", *own) == 550);
}

TEST_CASE("whether a domain is backed up waits for the DNS, unless others on a list would wait, too") {
    const auto tables =
        tables_of(kUs + "default rcpt mx=backup\nroute * via smart.test\n", {{"aliases", kAliases}});
    for (const char* alone : {"u@servfail.test", "one@local.test"}) {
        CAPTURE(alone);
        const wire::ResolvedRecipient resolved = resolve(alone, *tables);
        REQUIRE(resolved.has_failure());
        CHECK(resolved.failure().temporary());
        CHECK(resolved.failure().text() == "4.4.3 the DNS does not tell now whose backup this host is");
    }
    const wire::ResolvedRecipient list = resolve("list@local.test", *tables);
    REQUIRE(list.deliveries_size() == 3);
    CHECK(list.deliveries(1).next_hop() == "primary.test");
    CHECK(list.deliveries(2).next_hop() == "smart.test:25");
    const auto without = tables_of(kUs + "route * via smart.test\n", {{"aliases", kAliases}});
    CHECK(resolve("u@servfail.test", *without).deliveries(0).next_hop() == "smart.test:25");
}

TEST_CASE("the check of a domain's exchangers knows the way of what mx= admits") {
    const auto tables =
        tables_of(kUs + "rcpt postmaster@ accept\ndefault rcpt mx=backup\nroute * via smart.test\n",
                  {{"aliases", kAliases}});
    World facts;
    const MxReport report = check_mx("primary.test", *tables, facts);
    CHECK(report.lines.back() == "mail for it goes out by MX");
    CHECK_FALSE(report.has_problems);
}

}  // namespace postrider::router
