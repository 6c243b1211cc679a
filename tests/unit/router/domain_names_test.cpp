// Further names of domains, catch-alls, and which alias files are asked.
#include <catch2/catch.hpp>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "router/policy.h"
#include "tests/unit/router/expansion_fixture.h"

namespace postrider::router {

using test::build;
using test::expand_text;
using test::outcome_text;
using test::tables_of;

namespace {

const std::string kNames =
    "hostname mx2.test\n"
    "local_domain local.test second.test\n"
    "alias_domain d2.test -> local.test\n"
    "alias_domain v2.test -> v.test\n"
    "alias_file local.test aliases\n"
    "alias_file * common\n"
    "virtual_domain v.test maildir:/var/v/%d/%u owner=vmail users=v.users\n";

std::map<std::string, std::string> files_with(const std::string& aliases) {
    return {{"aliases", aliases},
            {"common", "everywhere: dave\n"},
            {"v.users", "bob\nrest\naway forward=x@remote.test\n"}};
}

std::shared_ptr<const Tables> named(const std::string& lines, const std::string& aliases = "sales: alice\n") {
    return tables_of(kNames + lines, files_with(aliases));
}

const std::string kAt = "/etc/postrider/postrider.conf:8:";

}  // namespace

TEST_CASE("T26 a further name of a domain means that domain") {
    struct Case {
        std::string address;
        std::string outcome;
    };
    const std::vector<Case> cases = {
        {"bob@d2.test", "/home/bob/Maildir"},
        {"sales@d2.test", "/home/alice/Maildir"},
        {"sales@D2.TEST", "/home/alice/Maildir"},
        {"bob@v.test", "/var/v/v.test/bob"},
        {"bob@v2.test", "/var/v/v.test/bob"},
        {"alice@v.test", "5.1.1"},
        {"alice@v2.test", "5.1.1"},
        {"sales@v2.test", "5.1.1"},
        {"bob@x.d2.test", "bob@x.d2.test"},
    };
    const auto tables = named("");
    for (const Case& one : cases) {
        CAPTURE(one.address);
        CHECK(outcome_text(*tables, one.address) == one.outcome);
    }
    // One mailbox under all its names, and no way round a circle by another name.
    CHECK(outcome_text(*named("", "all: bob, bob@d2.test, bob@local.test\n"), "all@d2.test") ==
          "/home/bob/Maildir");
    CHECK(outcome_text(*named("", "a: b@d2.test\nb: a@d2.test\n"), "a@local.test") == "5.4.6");
    CHECK(outcome_text(*named("", "bob: bob@d2.test, alice\n"), "bob@d2.test") ==
          "/home/bob/Maildir, /home/alice/Maildir");
}

TEST_CASE("redirect lines can tell the names of a domain apart") {
    const auto tables = named("redirect bob@d2.test alice\nredirect carol@local.test dave\n");
    CHECK(outcome_text(*tables, "bob@d2.test") == "/home/alice/Maildir");
    CHECK(outcome_text(*tables, "bob@local.test") == "/home/bob/Maildir");
    CHECK(outcome_text(*tables, "carol@d2.test") == "/home/dave/Maildir");
    CHECK(outcome_text(*named("redirect *@d2.test bob@local.test\n"), "bob@d2.test") == "/home/bob/Maildir");
    // In whatever order they stand on a list.
    for (const char* list : {"l: bob, bob@d2.test\n", "l: bob@d2.test, bob\n"}) {
        const auto listed = named("redirect bob@d2.test alice\n", list);
        CHECK(expand_text(*listed, "l@local.test").leaves.size() == 2);
    }
}

TEST_CASE("policy lines of a domain hold for its further names") {
    const auto tables =
        named("rcpt sales@local.test reject\nrcpt *.d2.test accept\nrcpt bob@d2.test reject\n");
    test::FakeFacts facts;
    Client client;
    client.address = config::IpAddress::parse("203.0.113.9").value();
    const auto code = [&](const char* address) {
        return decide_recipient(client, "a@out.example", address, *tables, facts).verdict.code;
    };
    CHECK(code("sales@d2.test") == 550);
    CHECK(code("bob@d2.test") == 550);
    CHECK(code("bob@local.test") == 0);
    CHECK(code("alice@d2.test") == 0);
}

TEST_CASE("what is wrong with a further name") {
    struct Case {
        std::string line;
        std::string error;
    };
    const std::vector<Case> cases = {
        {"alias_domain a.test = local.test", "21: expected DOMAIN -> DOMAIN"},
        {"alias_domain second.test -> local.test", "14: second.test is a local domain already"},
        {"alias_domain v.test -> local.test", "14: v.test is a local domain already"},
        {"alias_domain a.test -> d2.test", "24: d2.test is only another name of local.test"},
        {"alias_domain a.test -> other.test", "24: other.test is neither in a local_domain"},
        {"alias_domain d2.test -> v.test", "14: d2.test is another name of local.test already"},
        {"alias_domain [192.0.2.1] -> v.test", "14: an address literal is no domain"},
    };
    for (const Case& one : cases) {
        CAPTURE(one.line);
        const BuildResult built = build(kNames + one.line + "\n", files_with(""));
        REQUIRE(built.errors.size() == 1);
        CHECK_THAT(built.errors[0], Catch::StartsWith(kAt + one.error));
    }
}

TEST_CASE("T37 the catch-all gets what nobody else gets") {
    const auto tables =
        named("catchall local.test Unknown\ncatchall v.test rest@v.test\n", "sales: alice, nosuch\n");
    CHECK(outcome_text(*tables, "nobody@local.test") == "/home/unknown/Maildir");
    CHECK(outcome_text(*tables, "nobody+x@d2.test") == "/home/unknown/Maildir");
    CHECK(outcome_text(*tables, "-f@local.test") == "/home/unknown/Maildir");
    CHECK(outcome_text(*tables, "bob@local.test") == "/home/bob/Maildir");
    CHECK(outcome_text(*tables, "sales@local.test") == "/home/alice/Maildir, /home/unknown/Maildir");
    CHECK(outcome_text(*tables, "alice@v.test") == "/var/v/v.test/rest");
    CHECK(outcome_text(*tables, "nobody@second.test") == "5.1.1");
    CHECK(outcome_text(*tables, "postmaster@v.test") == "/var/v/v.test/rest");
    CHECK(outcome_text(*tables, "abuse@second.test") == "/home/unknown/Maildir");

    const Expansion expansion = expand_text(*tables, "Nobody+x@local.test");
    REQUIRE(expansion.leaves.size() == 1);
    CHECK(expansion.leaves[0].address.text() == "Nobody+x@local.test");
    CHECK(expansion.leaves[0].user.name == "unknown");
    CHECK(expansion.rule.line_text() == "/etc/postrider/postrider.conf:8");

    const auto refusing = named("catchall local.test unknown\nrcpt sex@local.test reject\n");
    test::FakeFacts facts;
    facts.add("unknown", 3000);
    Client client;
    client.address = config::IpAddress::parse("203.0.113.9").value();
    CHECK(decide_recipient(client, "", "sex@local.test", *refusing, facts).verdict.code == 550);
    CHECK(decide_recipient(client, "", "other@local.test", *refusing, facts).verdict.code == 0);
    // Mail for a catch-all who does not exist waits; nothing is delivered with the rights of root.
    for (const FactState state : {FactState::Unknown, FactState::Unavailable}) {
        facts.set("unknown", state);
        CHECK(decide_recipient(client, "", "other@local.test", *refusing, facts).verdict.code == 451);
    }
    facts.add("unknown", 0);
    CHECK(decide_recipient(client, "", "other@local.test", *refusing, facts).verdict.code == 451);
}

TEST_CASE("T37 a catch-all that is no mailbox is refused") {
    struct Case {
        std::string line;
        std::string error;
    };
    const std::vector<Case> cases = {
        {"catchall local.test sales",
         "21: a catch-all must be a mailbox; sales is an alias, at /etc/postrider/aliases:1"},
        {"catchall local.test everywhere", "21: a catch-all must be a mailbox; everywhere is an alias"},
        {"catchall local.test fred@remote.test", "21: a catch-all is a mailbox of local.test itself"},
        {"catchall v.test bob@local.test", "17: a catch-all is a mailbox of v.test itself"},
        {"catchall v.test alice", "17: a catch-all must be a mailbox; v.test has no user alice"},
        {"catchall v.test away", "17: a catch-all must be a mailbox; the mail of away is forwarded"},
        {"catchall remote.test bob", "10: remote.test is neither in a local_domain"},
        {"catchall d2.test bob", "10: d2.test is only another name of local.test"},
        {"catchall local.test |prog", "21: a catch-all is a mailbox, no program and no file"},
    };
    for (const Case& one : cases) {
        CAPTURE(one.line);
        const BuildResult built = build(kNames + one.line + "\n", files_with("sales: alice\n"));
        REQUIRE(built.errors.size() == 1);
        CHECK_THAT(built.errors[0], Catch::StartsWith(kAt + one.error));
    }
    const BuildResult twice =
        build(kNames + "catchall local.test bob\ncatchall local.test alice\n", files_with(""));
    REQUIRE(twice.errors.size() == 1);
    CHECK_THAT(twice.errors[0], Catch::Contains("is given already, at /etc/postrider/postrider.conf:8"));
    const BuildResult redirected =
        build(kNames + "catchall local.test bob\nredirect bob@* x@remote.test\n", files_with(""));
    REQUIRE(redirected.errors.size() == 1);
    CHECK_THAT(redirected.errors[0], Catch::Contains("bob@local.test is redirected at "));
}

TEST_CASE("alias_fallthrough says whether the common aliases are for all domains") {
    for (const bool fall : {true, false}) {
        const auto tables = named(fall ? "" : "alias_fallthrough no\n");
        CHECK(outcome_text(*tables, "everywhere@local.test") == (fall ? "/home/dave/Maildir" : "5.1.1"));
        CHECK(outcome_text(*tables, "everywhere@second.test") == "/home/dave/Maildir");
        CHECK(outcome_text(*tables, "everywhere@v.test") == "/home/dave/Maildir");
    }
}

TEST_CASE("T34 names with wildcards: exact ones win, then the first that fits") {
    const std::string aliases =
        "Tod.*: alice\n"
        "T?m: bob\n"
        "tom*: carol\n"
        "tod.exact: dave\n"
        "*-x: $user, fred@remote.test\n"
        "bob: carol\n"
        "b*: dave\n";
    const auto tables = named("", aliases);
    struct Case {
        std::string address;
        std::string outcome;
    };
    const std::vector<Case> cases = {
        {"tod.sambar@local.test", "/home/alice/Maildir"},
        {"TOD.X@local.test", "/home/alice/Maildir"},
        {"tim@local.test", "/home/carol/Maildir"},  // by way of bob
        {"tom@local.test", "/home/carol/Maildir"},
        {"tommy@local.test", "/home/carol/Maildir"},
        {"team@local.test", "5.1.1"},
        {"tod.exact@local.test", "/home/dave/Maildir"},
        {"tod.exact+y@local.test", "/home/dave/Maildir"},
        {"bob@local.test", "/home/carol/Maildir"},
        {"bob+y@local.test", "/home/carol/Maildir"},
        {"bill+y@local.test", "/home/dave/Maildir"},
        {"alice-x@local.test", "alice-x@local.test 5.1.1 no such user here, fred@remote.test"},
        {"tod.sambar@second.test", "5.1.1"},
    };
    for (const Case& one : cases) {
        CAPTURE(one.address);
        CHECK(outcome_text(*tables, one.address) == one.outcome);
    }
}

TEST_CASE("many patterns cost no more than those that can match") {
    NamePatterns patterns;
    for (std::uint32_t i = 0; i < 20'000; ++i) {
        patterns.add(NamePattern::parse("user" + std::to_string(i) + ".*").value(), i);
        patterns.add(NamePattern::parse("*.team" + std::to_string(i)).value(), i + 20'000);
    }
    patterns.add(NamePattern::parse("*middle*").value(), 50'000);
    CHECK(patterns.find_first("user19999.x") == 19'999U);
    CHECK(patterns.find_first("x.team7") == 20'007U);
    CHECK(patterns.find_first("user3.team7") == 3U);
    CHECK(patterns.find_first("in the middle of") == 50'000U);
    CHECK_FALSE(patterns.find_first("user19999"));
    std::vector<std::uint32_t> all;
    patterns.find_all("user3.middle.team7", all);
    CHECK(all.size() == 3);
}

TEST_CASE("what is special in a shell is not in a name") {
    CHECK(NamePattern::parse("a[b]*").value().matches("a[b]c"));
    CHECK_FALSE(NamePattern::parse("a[b]*").value().matches("abc"));
    CHECK(NamePattern::parse("a\\*").value().matches("a\\x"));
}

}  // namespace postrider::router
