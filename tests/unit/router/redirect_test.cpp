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
using test::leaf_text;
using test::outcome_text;
using test::tables_of;

namespace {

const std::string kHosts =
    "hostname mx2.test\n"
    "local_domain local.test second.test\n"
    "alias_file local.test aliases\n"
    "virtual_domain v.test maildir:/var/v/%d/%u owner=vmail users=v.users\n";

std::shared_ptr<const Tables> redirected(const std::string& lines,
                                         const std::string& aliases = "x: alice\n") {
    return tables_of(kHosts + lines,
                     {{"aliases", aliases}, {"v.users", "bob\n"}, {"members", "carol\nfred@remote.test\n"}});
}

const std::string kAliceBox = "/home/alice/Maildir";
const std::string kBobBox = "/home/bob/Maildir";
const std::string kDaveBox = "/home/dave/Maildir";

}  // namespace

TEST_CASE("where redirect lines lead") {
    struct Case {
        std::string lines;
        std::string address;
        std::string outcome;
    };
    const std::vector<Case> cases = {
        // T19, T20
        {"redirect bob@local.test fred@remote.test", "bob@local.test", "fred@remote.test"},
        {"redirect BOB@Local.Test fred@remote.test", "Bob@LOCAL.test", "fred@remote.test"},
        {"redirect bob@local.test fred@remote.test", "bob@second.test", kBobBox},
        {"redirect+copy bob@local.test fred@remote.test", "bob@local.test", "fred@remote.test, " + kBobBox},
        {"redirect bob@local.test $user fred@remote.test", "bob@local.test", kBobBox + ", fred@remote.test"},
        {"redirect bob@local.test bob@local.test fred@remote.test", "bob@local.test",
         kBobBox + ", fred@remote.test"},
        // an address and its details
        {"redirect bob@local.test fred@remote.test", "bob+x@local.test", "fred@remote.test"},
        {"redirect bob+x@local.test fred@remote.test", "bob+x@local.test", "fred@remote.test"},
        {"redirect bob+x@local.test fred@remote.test", "bob@local.test", kBobBox},
        {"redirect+copy bob@local.test fred@remote.test", "bob+x@local.test", "fred@remote.test, " + kBobBox},
        // wildcards, T22
        {"redirect sales@* bob@local.test", "sales@local.test", kBobBox},
        {"redirect sales@* bob@local.test", "sales@v.test", kBobBox},
        {"redirect sales@* bob@local.test", "sales@othercompany.test", "sales@othercompany.test"},
        {"redirect sales@* bob@local.test scope=any", "sales@othercompany.test", kBobBox},
        {"redirect sales@* bob@local.test scope=any", "SALES@othercompany.test", kBobBox},
        {"redirect_scope any\nredirect sales@* bob@local.test", "sales@othercompany.test", kBobBox},
        {"redirect_scope any\nredirect sales@* bob@local.test scope=local", "sales@othercompany.test",
         "sales@othercompany.test"},
        {"redirect *@local.test bob@second.test", "anything@local.test", kBobBox},
        {"redirect s?les-*@*.test bob@second.test", "sales-x@local.test", kBobBox},
        {"redirect s?les-*@.test bob@second.test", "sales-x@v.test", kBobBox},
        {"redirect s?les-*@.test bob@second.test", "saales-x@v.test", "5.1.1"},
        {"redirect *@* carol@local.test", "bob@v.test", "/home/carol/Maildir"},
        {"redirect \"\\\"*\\\"@local.test\" carol@local.test", "bob@local.test", kBobBox},
        // all lines that match, in their order
        {"redirect bob@local.test a@remote.test\nredirect *@local.test b@remote.test", "bob@local.test",
         "a@remote.test, b@remote.test"},
        {"redirect bob@local.test a@remote.test\nredirect+copy *@local.test b@remote.test", "bob@local.test",
         "a@remote.test, b@remote.test, " + kBobBox},
        {"redirect_all_matches no\nredirect bob@local.test a@remote.test\nredirect+copy *@local.test "
         "b@remote.test",
         "bob@local.test", "a@remote.test"},
        // kinds of destinations
        {"redirect robot@local.test \"|/usr/local/bin/robot --quiet 'a, b' \\\"c d\\\"\"", "robot@local.test",
         "|/usr/local/bin/robot --quiet 'a, b' \"c d\""},
        {"redirect f@local.test /var/log/mail-f discard :include:members", "f@local.test",
         "file /var/log/mail-f, discard, /home/carol/Maildir, fred@remote.test"},
        {"redirect n@local.test null", "n@local.test", "discard"},
        {"redirect u@local.test alice,bob", "u@local.test", kAliceBox + ", " + kBobBox},
        {"redirect u@v.test bob", "u@v.test", kBobBox},
        {"redirect u@local.test \\x", "u@local.test", "5.1.1"},
        {"redirect u@local.test x", "u@local.test", kAliceBox},
        // an address that redirect lines name is asked for again, until it means itself
        {"redirect a@local.test b@local.test\nredirect b@local.test dave@local.test", "a@local.test",
         kDaveBox},
        {"redirect *@* archive@remote.test scope=any", "bob@local.test", "archive@remote.test"},
        {"redirect+copy *@* alice@local.test scope=any", "fred@remote.test",
         kAliceBox + ", fred@remote.test"},
        {"redirect a@local.test b@local.test\nredirect b@local.test a@local.test", "a@local.test", "5.4.6"},
        {"redirect+copy alice@local.test bob@local.test\nredirect+copy bob@local.test alice@local.test",
         "alice@local.test", kBobBox + ", " + kAliceBox},
        // unknown
        {"redirect bob@local.test nobody@local.test", "bob@local.test", "5.1.1"},
    };
    for (const Case& one : cases) {
        CAPTURE(one.lines, one.address);
        CHECK(outcome_text(*redirected(one.lines + "\n"), one.address) == one.outcome);
    }
}

TEST_CASE("T23 redirect lines come before aliases, and both before the mailbox") {
    const std::string aliases = "sales: alice, john@remote.test\n";
    CHECK(outcome_text(*redirected("", aliases), "sales@local.test") == kAliceBox + ", john@remote.test");
    const std::string line = "sales@local.test dave@local.test\n";
    CHECK(outcome_text(*redirected("redirect " + line, aliases), "sales@local.test") == kDaveBox);
    CHECK(outcome_text(*redirected("redirect+copy " + line, aliases), "sales@local.test") ==
          kDaveBox + ", " + kAliceBox + ", john@remote.test");
}

TEST_CASE("a redirect line is the rule, and its programs have the rights of nobody") {
    const auto tables = redirected("redirect r@local.test |/bin/prog\n");
    const Expansion expansion = expand_text(*tables, "r@local.test");
    REQUIRE(expansion.leaves.size() == 1);
    CHECK(expansion.leaves[0].user.uid == 65534);
    CHECK(expansion.leaves[0].rule.line_text() == "/etc/postrider/postrider.conf:5");
    CHECK(expansion.rule.line_text() == "/etc/postrider/postrider.conf:5");
    test::FakeFacts facts;
    std::vector<TraceLine> trace;
    static_cast<void>(expand({"r", "local.test"}, *tables, facts, &trace));
    REQUIRE(trace.size() == 2);
    CHECK(trace[0].address == "r@local.test");
    CHECK(trace[0].step == "redirect");
    CHECK(trace[0].detail == "r@local.test");
    CHECK(trace[0].rule == "/etc/postrider/postrider.conf:5");
}

TEST_CASE("what is wrong with a redirect line is said with its place") {
    struct Case {
        std::string line;
        std::string error;
    };
    const std::vector<Case> cases = {
        {"redirect bob fred@remote.test", "5:10: expected LOCAL@DOMAIN, where both may be *"},
        {"redirect * fred@remote.test", "5:10: expected LOCAL@DOMAIN, where both may be *"},
        {"redirect @local.test fred@remote.test", "5:10: empty local part"},
        {"redirect bob@ fred@remote.test", "5:10: empty domain"},
        {"redirect bob@a*.test fred@remote.test", "5:10: character not allowed in domain"},
        {"redirect bob@local.test fred@", "5:25: empty domain"},
        {"redirect bob@local.test |", "5:25: the command or path is missing"},
        {"redirect bob@local.test x scope=all", "5:27: expected scope=local or scope=any"},
    };
    for (const Case& one : cases) {
        CAPTURE(one.line);
        const BuildResult built = build(kHosts + one.line + "\n", {{"aliases", ""}, {"v.users", ""}});
        REQUIRE(built.errors.size() == 1);
        CHECK_THAT(built.errors[0], Catch::StartsWith("/etc/postrider/postrider.conf:" + one.error));
    }
}

TEST_CASE("T22 a redirect of any scope lets nobody relay who may not") {
    const auto tables =
        redirected("redirect *@othercompany.test bob@local.test scope=any\nnet 10.0.0.5 relay\n");
    test::FakeFacts facts;
    Client stranger;
    stranger.address = config::IpAddress::parse("203.0.113.9").value();
    Client friendly;
    friendly.address = config::IpAddress::parse("10.0.0.5").value();
    for (const char* address : {"sales@othercompany.test", "nobody@othercompany.test"}) {
        const Verdict refused = decide_recipient(stranger, "a@out.example", address, *tables, facts).verdict;
        CHECK(refused.code == 550);
        CHECK(refused.enhanced == "5.7.1");
        CHECK(decide_recipient(friendly, "a@inside.test", address, *tables, facts).verdict.code == 0);
    }
}

}  // namespace postrider::router
