// The lines `sender`, `rcpt` and `net` at MAIL, RCPT, VRFY and EXPN.

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "router/policy.h"
#include "tests/unit/router/table_fixture.h"

namespace postrider::router {

using test::FakeFacts;
using test::tables_of;

namespace {

const std::string kPolicy =
    "hostname mx2.test\nlocal_domain local.test\nrelay_domain relayed.test\n"
    "net 10.0.0.0/8 relay\n"                           // 4
    "net 203.0.113.66 reject\n"                        // 5
    "net 203.0.113.45 defer\n"                         // 6
    "sender nobody.test reject \"%s is not liked\"\n"  // 7
    "sender late.test defer\n"                         // 8
    "sender safe.test tls=require\n"                   // 9
    "sender own.test authreq\n"                        // 10
    "rcpt postmaster@ accept\n"                        // 11
    "rcpt bad.test reject \"%r, %s, %i\"\n"            // 12
    "rcpt bob@local.test defer\n"                      // 13
    "rcpt passed.test relay\n"                         // 14
    "rcpt u@one.test relay\n"                          // 15
    "rcpt .local2.test reject\n"                       // 16
    "rcpt local2.test local\n"                         // 17
    "rcpt dave@local.test accept\n";                   // 18

Client at(std::string_view address) {
    Client client;
    client.address = config::IpAddress::parse(address).value();
    return client;
}

/// "250 LINE" or "CODE ENHANCED LINE".
std::string short_text(const Verdict& verdict) {
    const std::size_t colon = verdict.rule.rfind(':');
    const std::string line = colon == std::string::npos ? verdict.rule : verdict.rule.substr(colon + 1);
    if (verdict.action == Verdict::Action::Accept) return "250 " + line;
    return std::to_string(verdict.code) + " " + verdict.enhanced + " " + line;
}

}  // namespace

TEST_CASE("the verdict on a sender", "[policy]") {
    FakeFacts facts;
    const auto tables = tables_of(kPolicy);
    const auto strict = tables_of(
        "hostname mx2.test\nsender nobody.test reject\nsender .nobody.test reject\n"
        "sender good@nobody.test accept\nsender own.test tls=offer\ndefault sender tls=require\n");
    CHECK(short_text(decide_sender(at("192.0.2.1"), "x@late.test", *tables, facts)) == "450 4.7.1 8");
    // With an exemption the recipient decides.
    CHECK(short_text(decide_sender(at("192.0.2.1"), "x@nobody.test", *tables, facts)) == "250 7");
    Client client = at("192.0.2.1");
    client.encrypted = true;
    for (const std::string address : {"192.0.2.1", "10.0.0.1"}) {
        client.address = config::IpAddress::parse(address).value();
        CHECK(short_text(decide_sender(client, "x@nobody.test", *strict, facts)) == "550 5.7.1 2");
        CHECK(short_text(decide_sender(client, "x@a.nobody.test", *strict, facts)) == "550 5.7.1 3");
        CHECK(short_text(decide_sender(client, "good@nobody.test", *strict, facts)) == "250 4");
        CHECK(short_text(decide_sender(client, "x@other.test", *strict, facts)) == "250 default");
    }
    client.encrypted = false;
    CHECK(short_text(decide_sender(client, "x@other.test", *strict, facts)) == "530 5.7.0 6");
    CHECK(short_text(decide_sender(client, "", *strict, facts)) == "530 5.7.0 6");
    CHECK(short_text(decide_sender(client, "x@own.test", *strict, facts)) == "250 5");
    CHECK(short_text(decide_sender(client, "x@safe.test", *tables, facts)) == "530 5.7.0 9");
    CHECK(short_text(decide_sender(client, "x@own.test", *tables, facts)) == "530 5.7.0 10");
    client.login = "fred";
    CHECK(short_text(decide_sender(client, "x@own.test", *tables, facts)) == "250 10");
    Client local;
    local.local = true;
    CHECK(short_text(decide_sender(local, "x@safe.test", *tables, facts)) == "250 9");
}

TEST_CASE("the verdict on a recipient, by precedence", "[policy]") {
    const auto tables = tables_of(kPolicy);
    struct Case {
        std::string client;
        std::string sender;
        std::string recipient;
        std::string verdict;
    };
    const std::string inside = "10.0.0.1";
    const std::string outside = "192.0.2.1";
    const std::vector<Case> cases = {
        // what rcpt lines say
        {outside, "a@b.test", "alice@local.test", "250 2"},
        {outside, "a@b.test", "x@bad.test", "550 5.7.1 12"},
        {inside, "a@b.test", "x@bad.test", "550 5.7.1 12"},
        {outside, "a@b.test", "bob@local.test", "450 4.7.1 13"},
        {outside, "a@b.test", "Bob+x@LOCAL.test", "450 4.7.1 13"},
        {outside, "a@b.test", "x@passed.test", "250 14"},
        {outside, "a@b.test", "x@sub.passed.test", "550 5.7.1 default"},
        {outside, "a@b.test", "u@one.test", "250 15"},
        {outside, "a@b.test", "v@one.test", "550 5.7.1 default"},
        {outside, "a@b.test", "alice@local2.test", "250 17"},
        {outside, "a@b.test", "nobody@local2.test", "550 5.1.1 17"},
        {outside, "a@b.test", "alice@x.local2.test", "550 5.7.1 16"},
        {outside, "a@b.test", "x@relayed.test", "250 3"},
        {outside, "a@b.test", "x@far.test", "550 5.7.1 default"},
        {inside, "a@b.test", "x@far.test", "250 4"},
        // senders, from anywhere
        {inside, "a@nobody.test", "x@far.test", "550 5.7.1 7"},
        {outside, "a@nobody.test", "alice@local.test", "550 5.7.1 7"},
        {outside, "a@late.test", "alice@local.test", "450 4.7.1 8"},
        {outside, "a@nobody.test", "x@bad.test", "550 5.7.1 12"},
        // exemptions: of local domains only, and from permanent refusals only
        {outside, "a@nobody.test", "postmaster", "250 2"},
        {outside, "a@nobody.test", "PostMaster@local.test", "250 2"},
        {outside, "a@nobody.test", "dave@local.test", "250 2"},
        {outside, "a@nobody.test", "postmaster@relayed.test", "550 5.7.1 7"},
        {outside, "a@b.test", "postmaster@far.test", "550 5.7.1 11"},
        {outside, "a@late.test", "postmaster@local.test", "450 4.7.1 8"},
        // networks
        {"203.0.113.66", "a@b.test", "alice@local.test", "550 5.7.1 5"},
        {"203.0.113.66", "a@b.test", "postmaster@local.test", "250 2"},
        {"203.0.113.66", "a@late.test", "postmaster@local.test", "450 4.7.1 8"},
        {"203.0.113.45", "a@b.test", "postmaster@local.test", "450 4.7.1 6"},
    };
    FakeFacts facts;
    for (const Case& one : cases) {
        CAPTURE(one.client, one.sender, one.recipient);
        const RecipientDecision decision =
            decide_recipient(at(one.client), one.sender, one.recipient, *tables, facts);
        CHECK(short_text(decision.verdict) == one.verdict);
    }
    const RecipientDecision decision =
        decide_recipient(at(outside), "a@b.test", "x@bad.test", *tables, facts);
    CHECK(decision.verdict.text == "x@bad.test, a@b.test, 192.0.2.1");
}

TEST_CASE("a line with tuning alone opens nothing, and the default line decides", "[policy]") {
    const auto tables = tables_of(
        "hostname mx2.test\nlocal_domain local.test\nnet 0.0.0.0/0 maxsize=1M conns=5\nport 25 maxsize=2M\n"
        "helo * quirks=nodsn\ndefault net conns=3\ndefault rcpt defer \"450 4.7.1 ask for %r\"\n");
    FakeFacts facts;
    Client client = at("192.0.2.1");
    client.port = 25;
    client.helo = "x";
    CHECK_FALSE(decide_connect(client, *tables).policy.relay());
    const Verdict verdict = decide_recipient(client, "", "u@far.test", *tables, facts).verdict;
    CHECK(short_text(verdict) == "450 4.7.1 7");
    CHECK(verdict.text == "ask for u@far.test");
    CHECK(decide_recipient(client, "", "alice@local.test", *tables, facts).verdict.code == 0);
}

TEST_CASE("VRFY and EXPN", "[policy]") {
    const auto tables = tables_of(
        kPolicy + "alias_file * aliases\n",
        {{"aliases",
          "sales: alice, \"|/bin/cat\", x@remote.test, :include:/etc/postrider/list, /var/log/sales\n"
          "carol: \\carol\nprogram: |/bin/cat\n"},
         {"list", "dave\ny@remote.test\n:include:/etc/postrider/deeper\n"},
         {"deeper", "bob\n"}});
    FakeFacts facts;
    facts.set("slow", FactState::Pending);
    struct Case {
        std::string asked;
        bool expand;
        std::string verdict;
        std::vector<std::string> addresses;
    };
    const std::vector<std::string> sales = {"alice@local.test", "x@remote.test", "dave@local.test",
                                            "y@remote.test"};
    const std::vector<Case> cases = {
        {"alice", false, "250 2", {"alice@local.test"}},
        {"<Alice@LOCAL.test>", false, "250 2", {"Alice@local.test"}},
        {"<@x.test,@y.test:alice@local.test>", false, "250 2", {"alice@local.test"}},
        {"nobody", false, "550 5.1.1 2", {}},
        {"sales", false, "250 1", {"sales@local.test"}},
        {"sales", true, "250 1", sales},
        {"alice", true, "250 2", {"alice@local.test"}},
        {"carol", true, "250 2", {"carol@local.test"}},
        {"program", true, "250 3", {}},
        {"nobody", true, "550 5.1.1 2", {}},
        {"bob@local.test", false, "450 4.7.1 13", {}},
        {"x@relayed.test", false, "250 3", {}},
        {"x@far.test", false, "550 5.7.1 default", {}},
        {"<>", false, "553 5.1.3 default", {}},
        {"a b c", false, "553 5.1.3 default", {}},
    };
    for (const Case& one : cases) {
        CAPTURE(one.asked, one.expand);
        const VerifyDecision decision = decide_verify(at("192.0.2.1"), one.asked, one.expand, *tables, facts);
        CHECK(short_text(decision.verdict) == one.verdict);
        CHECK(decision.addresses == one.addresses);
        CHECK(facts.complete());
    }
    CHECK(decide_verify(at("192.0.2.1"), "slow", false, *tables, facts).verdict.code == 451);
    CHECK(facts.missing().users == std::vector<std::string>{"slow"});
}

}  // namespace postrider::router
