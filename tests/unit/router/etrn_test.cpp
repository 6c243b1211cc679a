// Who may have the mail of a domain sent because it goes to him.

#include "router/etrn.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "router/full_mailboxes.h"
#include "router/resolve.h"
#include "tests/unit/router/table_fixture.h"

namespace postrider::router {

using test::FakeFacts;
using test::tables_of;

TEST_CASE("T92_ETRN is for those whom the mail goes to") {
    const auto tables = tables_of(
        "hostname mx2.test\nself_address 192.0.2.10\nlocal_domain local.test\n"
        "route dial.test via [192.0.2.40] hold\nroute .dial.test via [192.0.2.40]:2525\n"
        "route host.test via gw.test:587\nroute unclear-host.test via sick.test\n"
        "route six.test via [2001:db8::6]\nroute gone.test error \"550 5.1.2 gone\"\nroute none.test none\n"
        "mxbackup primary.test\n");
    FakeFacts facts;
    facts.set_addresses("p.test", {"192.0.2.20", "2001:db8::20"});
    facts.set_addresses("us.test", {"192.0.2.10"});
    facts.set_addresses("gw.test", {"192.0.2.70", "192.0.2.71"});
    facts.set_addresses("own.test", {"192.0.2.80"});
    facts.set_mx("primary.test", {{10, "p.test"}, {20, "us.test"}});
    facts.set_mx("remote.test", {{10, "p.test"}, {20, "sick.test"}});
    facts.set_mx("nullmx.test", {{0, ""}});
    facts.set_mx("host.test", {{10, "p.test"}});
    facts.set_dns("sick.test", dns::Type::A, FactState::Unavailable);
    facts.set_dns("sick.test", dns::Type::Aaaa, FactState::Unavailable);
    facts.set_dns("servfail.test", dns::Type::Mx, FactState::Unavailable);
    struct Row {
        std::string client;
        std::string domain;
        std::uint32_t code;
    };
    const std::vector<Row> rows = {
        {"192.0.2.40", "dial.test", 0},
        {"192.0.2.41", "dial.test", 459},
        {"192.0.2.40", "x.dial.test", 0},
        {"192.0.2.70", "host.test", 0},
        {"192.0.2.71", "host.test", 0},
        {"192.0.2.20", "host.test", 459},  // its MX, but the route counts
        {"2001:db8::6", "six.test", 0},
        {"2001:db8::7", "six.test", 459},
        {"192.0.2.40", "gone.test", 459},
        {"192.0.2.40", "none.test", 459},
        {"192.0.2.20", "primary.test", 0},
        {"2001:db8::20", "primary.test", 0},
        {"192.0.2.21", "primary.test", 459},
        {"192.0.2.20", "remote.test", 0},
        {"192.0.2.21", "remote.test", 458},  // may be sick.test
        {"192.0.2.21", "unclear-host.test", 458},
        {"192.0.2.20", "servfail.test", 458},
        {"192.0.2.20", "nullmx.test", 459},
        {"192.0.2.20", "nobody.test", 459},
        {"192.0.2.80", "own.test", 0},  // without MX
        {"192.0.2.10", "local.test", 459},
    };
    for (const Row& row : rows) {
        CAPTURE(row.client, row.domain);
        Client client;
        client.address = config::IpAddress::parse(row.client).value();
        const Verdict verdict = decide_etrn(client, row.domain, *tables, facts);
        CHECK(verdict.code == row.code);
        CHECK((verdict.action == Verdict::Action::Accept) == (row.code == 0));
        if (row.code == 459) CHECK(verdict.enhanced == "4.7.1");
        if (row.code == 458) CHECK(verdict.enhanced == "4.4.3");
    }
    Client user;
    user.local = true;
    CHECK(decide_etrn(user, "dial.test", *tables, facts).code == 459);
}

TEST_CASE("T86_quotas of mailboxes come from the domain or the user") {
    const std::string configuration =
        "hostname mx2.test\nlocal_domain local.test\nalias_file * aliases\n"
        "virtual_domain shop.test maildir:/m/%d/%u owner=vmail users=shop.users quota=2G\n"
        "virtual_domain free.test maildir:/m/%d/%u owner=vmail users=shop.users\n"
        "virtual_domain sys.test maildir:/m/%d/%u quota=3k\n";
    const std::map<std::string, std::string> files = {
        {"aliases", ""}, {"shop.users", "fred\nmary quota=500M\nany quota=0 home=/h\n"}};
    const auto quota_of = [](const Tables& tables, const std::string& address) {
        FakeFacts facts;
        wire::Recipient recipient;
        recipient.set_address(address);
        const auto resolved = resolve_recipient(0, recipient, "s@o.test", tables, facts);
        REQUIRE(resolved.deliveries_size() == 1);
        return resolved.deliveries(0).local();
    };
    const auto tables = tables_of(configuration, files);
    CHECK(quota_of(*tables, "fred@shop.test").quota() == std::uint64_t{2} << 30);
    CHECK(quota_of(*tables, "mary@shop.test").quota() == std::uint64_t{500} << 20);
    CHECK(quota_of(*tables, "any@shop.test").quota() == 0);
    CHECK(quota_of(*tables, "fred@free.test").quota() == 0);
    CHECK(quota_of(*tables, "mary@free.test").quota() == std::uint64_t{500} << 20);
    CHECK(quota_of(*tables, "alice@sys.test").quota() == 3 * 1024);
    CHECK(quota_of(*tables, "alice@local.test").quota() == 0);
    CHECK_FALSE(quota_of(*tables, "fred@shop.test").over_quota_fails());
    const auto bouncing = tables_of(configuration + "over_quota bounce\n", files);
    CHECK(quota_of(*bouncing, "fred@shop.test").over_quota_fails());

    CHECK(test::build("hostname mx2.test\nvirtual_domain a.test maildir:/m/%u owner=vmail quota=lots\n")
              .errors.size() == 1);
    auto broken = files;
    broken["shop.users"] = "fred quota=much\n";
    for (const auto& error : test::build(configuration, broken).errors)
        CHECK_THAT(error, Catch::Contains("shop.users:1:6: "));
    CHECK_FALSE(test::build(configuration, broken).errors.empty());
}

TEST_CASE("T86_a mailbox is full for a time, or until it has room") {
    FullMailboxes mailboxes(2);
    const SteadyTime now = SteadyTime() + Seconds(1'000);
    CHECK_FALSE(mailboxes.contains("/m/a", now));
    mailboxes.found_full("/m/a", now + Seconds(10));
    CHECK(mailboxes.contains("/m/a", now));
    CHECK_FALSE(mailboxes.contains("/m/b", now));
    CHECK_FALSE(mailboxes.contains("/m/a", now + Seconds(10)));
    mailboxes.found_room("/m/a", now);
    CHECK_FALSE(mailboxes.contains("/m/a", now));
    for (const char* path : {"/m/a", "/m/b", "/m/c"})
        mailboxes.found_full(path, now + Seconds(10));
    CHECK_FALSE(mailboxes.contains("/m/a", now));
    CHECK(mailboxes.contains("/m/c", now));
    const auto tables =
        tables_of("hostname mx2.test\nlocal_domain local.test\nalias_file * aliases\n", {{"aliases", ""}});
    CHECK(mailbox_is_full(*tables).code == 452);
    CHECK(mailbox_is_full(*tables).enhanced == "4.2.2");
    const auto bouncing =
        tables_of("hostname mx2.test\nlocal_domain local.test\nalias_file * aliases\nover_quota bounce\n",
                  {{"aliases", ""}});
    CHECK(mailbox_is_full(*bouncing).code == 552);
    CHECK(mailbox_is_full(*bouncing).enhanced == "5.2.2");
}

}  // namespace postrider::router
