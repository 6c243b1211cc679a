#include "router/sender_login.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "router/policy.h"
#include "tests/unit/router/table_fixture.h"

namespace postrider::router {

using test::build;
using test::FakeFacts;
using test::tables_of;

namespace {

const std::string kLogins =
    "hostname mx2.test\nlocal_domain local.test\nvirtual_domain shop.test maildir:/v/%u owner=vmail\n"
    "sender_login boss@local.test mary Paul\nsender_login boss@local.test peter\n"
    "sender_login @shop.test clerk\nsender_login other.test mary\n";

Client submitter(std::string login) {
    Client client;
    client.address = config::IpAddress::parse("203.0.113.9").value();
    client.login = std::move(login);
    client.submission = true;
    return client;
}

}  // namespace

TEST_CASE("which senders belong to a login", "[sender_login]") {
    FakeFacts facts;
    const auto tables = tables_of(kLogins);
    struct Case {
        std::string login;
        std::string sender;
        bool belongs;
    };
    const std::vector<Case> cases = {
        // without a line: the user himself
        {"alice", "alice@local.test", true},
        {"alice", "Alice+news@LOCAL.test", true},
        {"alice", "alice", true},
        {"alice", "bob@local.test", false},
        {"alice", "alice@remote.test", false},
        {"alice", "", true},
        {"alice@remote.test", "alice@remote.test", true},
        {"Alice@local.test", "alice+x@local.test", true},
        {"alice@remote.test", "alice@local.test", false},
        // a user of the system is nobody in a virtual domain
        {"alice", "alice@shop.test", false},
        {"alice@shop.test", "alice@shop.test", true},
        {"alice@shop.test", "bob@shop.test", false},
        // by lines
        {"mary", "boss@local.test", true},
        {"mary", "Boss+x@local.test", true},
        {"Paul", "boss@local.test", true},
        {"paul", "boss@local.test", false},
        {"peter", "boss@local.test", true},
        {"clerk", "anybody@shop.test", true},
        {"clerk", "anybody@sub.shop.test", false},
        {"mary", "x@other.test", true},
        {"mary", "mary@local.test", true},
    };
    for (const Case& one : cases) {
        CAPTURE(one.login, one.sender);
        const Verdict verdict = decide_sender(submitter(one.login), one.sender, *tables, facts);
        CHECK((verdict.action == Verdict::Action::Accept) == one.belongs);
        if (one.belongs) continue;
        CHECK(verdict.code == 553);
        CHECK(verdict.text == "sender " + one.sender + " does not belong to login " + one.login);
    }
}

TEST_CASE("where the sender is not compared with the login", "[sender_login]") {
    FakeFacts facts;
    const std::string sender = "bob@local.test";
    Client client = submitter("alice");
    CHECK(decide_sender(client, sender, *tables_of(kLogins + "sender_login_check no\n"), facts).code == 0);
    const auto tables = tables_of(kLogins);
    CHECK(decide_sender(client, sender, *tables, facts).code == 553);
    client.submission = false;
    CHECK(decide_sender(client, sender, *tables, facts).code == 0);
    client.submission = true;
    client.login.clear();
    CHECK(decide_sender(client, sender, *tables, facts).code == 0);
    Client local;
    local.local = true;
    local.login = "alice";
    CHECK(decide_sender(local, sender, *tables, facts).code == 0);
}

TEST_CASE("senders that users of this host may use", "[sender_login]") {
    const auto tables = tables_of(kLogins + "sender_login dave@local.test carol uid:1077\n");
    FakeFacts facts;
    facts.add("mary", 1100);
    facts.add("clerk", 1101);
    facts.add("Paul", 1102);
    struct Case {
        std::string login;
        std::string sender;
        bool allowed;
    };
    const std::vector<Case> cases = {
        // no line is for them
        {"uid:1001", "alice@local.test", true},
        {"uid:1001", "bob@local.test", true},
        {"uid:1001", "x@remote.test", true},
        {"uid:4000", "www@local.test", true},
        // lines are
        {"uid:1001", "boss@local.test", false},
        {"uid:1001", "BOSS+x@Local.Test", false},
        {"uid:1100", "boss@local.test", true},
        {"uid:1102", "boss+x@local.test", true},
        {"uid:1101", "anybody@shop.test", true},
        {"uid:1001", "anybody@shop.test", false},
        {"uid:1001", "alice@shop.test", false},
        {"uid:1003", "dave@local.test", true},
        {"uid:1077", "dave@local.test", true},
        {"uid:107", "dave@local.test", false},
        {"uid:1004", "dave@local.test", true},  // his own
        {"uid:1001", "dave@local.test", false},
        {"uid:0", "dave@local.test", true},
        {"uid:1001", "", true},
    };
    Client local;
    local.local = true;
    for (const Case& one : cases) {
        CAPTURE(one.login, one.sender);
        local.login = one.login;
        const Verdict verdict = decide_sender(local, one.sender, *tables, facts);
        CHECK(facts.complete());
        CHECK((verdict.action == Verdict::Action::Accept) == one.allowed);
        if (!one.allowed) CHECK(verdict.code == 553);
    }
    local.login = "uid:1001";
    const auto unchecked = tables_of(kLogins + "sender_login_check no\n");
    CHECK(decide_sender(local, "boss@local.test", *unchecked, facts).code == 0);
}

TEST_CASE("users of this host wait for the user database", "[sender_login]") {
    const auto tables = tables_of(kLogins);
    FakeFacts facts;
    facts.set("mary", FactState::Pending);
    facts.set("Paul", FactState::Unavailable);
    Client local;
    local.local = true;
    local.login = "uid:1001";
    CHECK(decide_sender(local, "boss@local.test", *tables, facts).code == 451);
    CHECK(facts.take_missing().users == std::vector<std::string>{"mary"});
    facts.add("mary", 1100);
    CHECK(decide_sender(local, "boss@local.test", *tables, facts).code == 451);
    CHECK(facts.complete());
    local.login = "uid:1100";
    CHECK(decide_sender(local, "boss@local.test", *tables, facts).code == 0);
}

TEST_CASE("lines that name no sender", "[sender_login]") {
    for (const char* key : {"a@", "a@b@c", "[192.0.2.1]x", "@", "a b"}) {
        CAPTURE(key);
        const BuildResult built =
            build("hostname mx2.test\nsender_login \"" + std::string(key) + "\" fred\n");
        REQUIRE(built.errors.size() == 1);
        CHECK(built.errors.front().starts_with("/etc/postrider/postrider.conf:2:14: "));
    }
}

}  // namespace postrider::router
