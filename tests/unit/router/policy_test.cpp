#include "router/policy.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "tests/unit/router/table_fixture.h"

namespace postrider::router {

using test::FakeFacts;
using test::tables_of;

namespace {

const std::string kBase =
    "hostname mx2.test\nlocal_domain local.test\nnet 10.0.0.0/8 relay\nrelay_domain hostonly.test "
    "*.primary.test\n";

Client client_at(std::string_view address) {
    Client client;
    client.address = config::IpAddress::parse(address).value();
    return client;
}

Client inside() {
    return client_at("10.0.0.5");
}
Client outside() {
    return client_at("203.0.113.9");
}

/// "250 RULE" or "CODE ENHANCED RULE", with the folder left out.
std::string verdict_on(const Client& client, std::string_view recipient, const Tables& tables) {
    FakeFacts facts;
    facts.set("slow", FactState::Unavailable);
    const Verdict verdict = decide_recipient(client, "", recipient, tables, facts).verdict;
    std::string rule = verdict.rule;
    if (rule.starts_with("/etc/postrider/")) rule = rule.substr(15);
    if (verdict.action == Verdict::Action::Accept) return "250 " + rule;
    return std::to_string(verdict.code) + " " + verdict.enhanced + " " + rule;
}

}  // namespace

TEST_CASE("a stranger is who can have made up his sender") {
    const auto tables = tables_of(kBase + "mxbackup backup.test\nroute backup.test via [192.0.2.20]\n");
    Client local = outside();
    local.local = true;
    Client authenticated = outside();
    authenticated.login = "alice";
    struct Case {
        Client client;
        const char* sender;
        bool stranger;
    };
    for (const auto& test :
         {Case{outside(), "x@out.example", true}, Case{outside(), "x@sub.local.test", true},
          Case{outside(), "alice@local.test", false}, Case{outside(), "alice@LOCAL.test", false},
          Case{outside(), "x@hostonly.test", false}, Case{outside(), "x@a.primary.test", false},
          Case{outside(), "x@backup.test", false}, Case{outside(), "", false},
          Case{inside(), "x@out.example", false}, Case{local, "x@out.example", false},
          Case{authenticated, "x@out.example", false}}) {
        CAPTURE(test.sender);
        CHECK(is_stranger(test.client, test.sender, *tables) == test.stranger);
    }
}

TEST_CASE("nobody outside can relay, whatever the form of the address") {
    const auto tables = tables_of(kBase);
    const std::vector<std::string> probes = {
        "tomy@hotmail.com",
        "tomy@HOTMAIL.COM.",
        "hotmail.com!tomy@local.test",
        "tomy%hotmail.com@local.test",
        "tomy%hotmail.com",
        "hotmail.com!tomy",
        "@local.test:tomy@hotmail.com",
        "<@local.test:tomy@hotmail.com>",
        "\"tomy@hotmail.com\"",
        "\"tomy@hotmail.com\"@local.test",
        "tomy@hotmail.com@local.test",
        "tomy@[192.0.2.60]",
        "tomy@[IPv6:2001:db8::1]",
        "tomy@[127.0.0.1]",
        "tomy@[10.0.0.5]",
        "tomy@xprimary.test",
        "tomy@local.test.hotmail.com",
        "tomy@hotmail.comlocal.test",
        "tomy@sub.local.test",
        "tomy@sub.hostonly.test",
        "postmaster@hotmail.com",
        "abuse@foreign.test",
        "tomy@hotmail.com\n@local.test",
        "alice@local.test,tomy@hotmail.com",
        "alice@local.test tomy@hotmail.com",
        "tomy@",
        "@hotmail.com",
        "",
        std::string("alice@local.test\0@hotmail.com", 29),
    };
    for (const std::string& probe : probes) {
        CAPTURE(probe);
        CHECK(verdict_on(outside(), probe, *tables).substr(0, 2) == "55");
    }
}

TEST_CASE("who may send to whom") {
    const auto tables =
        tables_of(kBase + "route none.primary.test none\nroute bad.test error \"550 5.1.2 gone\"\n");
    Client local;
    local.local = true;
    local.login = "fred";
    Client submitter = outside();
    submitter.login = "fred";
    struct Case {
        Client client;
        std::string recipient;
        std::string verdict;
    };
    const std::vector<Case> cases = {
        {outside(), "alice@local.test", "250 postrider.conf:2"},
        {outside(), "Alice@LOCAL.test", "250 postrider.conf:2"},
        {outside(), "nobody@local.test", "550 5.1.1 postrider.conf:2"},
        {outside(), "slow@local.test", "451 4.3.0 postrider.conf:2"},
        {outside(), "tomy@remote.test", "550 5.7.1 default"},
        {inside(), "tomy@remote.test", "250 postrider.conf:3"},
        {client_at("::ffff:10.0.0.5"), "tomy@remote.test", "250 postrider.conf:3"},
        {client_at("127.0.0.1"), "tomy@remote.test", "550 5.7.1 default"},
        {client_at("::1"), "tomy@remote.test", "550 5.7.1 default"},
        {local, "tomy@remote.test", "250 local"},
        {submitter, "tomy@remote.test", "250 authenticated"},
        {inside(), "nobody@local.test", "550 5.1.1 postrider.conf:2"},
        // a host, and a domain with all below it
        {outside(), "u@hostonly.test", "250 postrider.conf:4"},
        {outside(), "u@a.hostonly.test", "550 5.7.1 default"},
        {outside(), "u@primary.test", "250 postrider.conf:4"},
        {outside(), "u@PRIMARY.Test", "250 postrider.conf:4"},
        {outside(), "u@a.b.primary.test", "250 postrider.conf:4"},
        {outside(), "u@xprimary.test", "550 5.7.1 default"},
        // routes that lead nowhere
        {inside(), "u@none.primary.test", "550 5.7.1 postrider.conf:5"},
        {outside(), "u@none.primary.test", "550 5.7.1 postrider.conf:5"},
        {inside(), "u@bad.test", "550 5.1.2 postrider.conf:6"},
        {outside(), "u@bad.test", "550 5.7.1 default"},
        // who must always be there
        {outside(), "postmaster", "250 postrider.conf:2"},
        {outside(), "Postmaster@local.test", "250 postrider.conf:2"},
        {outside(), "abuse@local.test", "250 postrider.conf:2"},
        {outside(), "postmaster@foreign.test", "550 5.7.1 default"},
        {outside(), "alice", "250 postrider.conf:2"},
        {outside(), "a b@local.test", "553 5.1.3 default"},
    };
    for (const Case& one : cases) {
        CAPTURE(one.recipient);
        CHECK(verdict_on(one.client, one.recipient, *tables) == one.verdict);
    }
}

TEST_CASE("with route * none only local mail is taken") {
    const auto tables = tables_of(kBase + "route * none\n");
    CHECK(verdict_on(inside(), "u@remote.test", *tables) == "550 5.7.1 postrider.conf:5");
    CHECK(verdict_on(inside(), "alice@local.test", *tables) == "250 postrider.conf:2");
    CHECK(verdict_on(outside(), "alice@local.test", *tables) == "250 postrider.conf:2");
}

TEST_CASE("a gateway line opens nothing and makes nothing local") {
    const std::string gateway =
        "hostname mx2.test\nlocal_domain local.test\nalias_file * aliases\nroute dial.test via "
        "[192.0.2.40]\n";
    const std::map<std::string, std::string> files = {{"aliases", "sales: alice\n"}};
    CHECK(verdict_on(outside(), "sales@dial.test", *tables_of(gateway, files)) == "550 5.7.1 default");
    const auto tables = tables_of(gateway + "relay_domain dial.test\n", files);
    FakeFacts facts;
    const RecipientDecision decision = decide_recipient(outside(), "", "sales@dial.test", *tables, facts);
    CHECK(decision.verdict.action == Verdict::Action::Accept);
    CHECK(decision.deliveries == 0);
    CHECK(facts.asked.empty());
}

TEST_CASE("a source of a percent sign is the user of that name, if there is one") {
    const auto tables = tables_of(kBase);
    FakeFacts facts;
    CHECK(decide_recipient(outside(), "", "a%b@local.test", *tables, facts).verdict.code == 550);
    facts.add("a%b", 2000);
    CHECK(decide_recipient(outside(), "", "a%b@local.test", *tables, facts).verdict.code == 0);
}

TEST_CASE("connect says who may relay") {
    FakeFacts facts;
    const auto tables = tables_of(kBase);
    CHECK_FALSE(decide_connect(outside(), *tables, facts).policy.relay());
    CHECK(decide_connect(inside(), *tables, facts).policy.relay());
    CHECK(decide_connect(inside(), *tables, facts).verdict.rule == "/etc/postrider/postrider.conf:3");
    Client local;
    local.local = true;
    CHECK(decide_connect(local, *tables, facts).policy.relay());
    CHECK_FALSE(decide_connect(Client(), *tables, facts).policy.relay());
}

TEST_CASE("any well-formed sender is accepted") {
    FakeFacts facts;
    const auto tables = tables_of(kBase);
    for (const char* sender :
         {"", "a@b.test", "alice@local.test", "x@[192.0.2.10]", "alice", "\"a b\"@c.test"}) {
        CAPTURE(sender);
        CHECK(decide_sender(outside(), sender, *tables, facts).action == Verdict::Action::Accept);
    }
    for (const char* sender : {"a b@c.test", "a@", "@c.test", "a@b@c.test", "a@b..c"}) {
        CAPTURE(sender);
        CHECK(decide_sender(outside(), sender, *tables, facts).code == 553);
    }
}

TEST_CASE("a recipient's number of deliveries is told") {
    const auto tables =
        tables_of(kBase + "alias_file * aliases\n", {{"aliases", "all: alice, bob, x@remote.test\n"}});
    FakeFacts facts;
    CHECK(decide_recipient(outside(), "", "all@local.test", *tables, facts).deliveries == 3);
    CHECK(decide_recipient(outside(), "", "alice@local.test", *tables, facts).deliveries == 1);
    facts.set("alice", FactState::Pending);
    CHECK(decide_recipient(outside(), "", "all@local.test", *tables, facts).verdict.code == 451);
    CHECK(facts.missing().users == std::vector<std::string>{"alice"});
}

}  // namespace postrider::router
