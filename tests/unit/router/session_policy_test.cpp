#include "router/session_policy.h"

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
    "hostname mx2.test\nlocal_domain local.test\n"
    "default net conns=20 maxsize=30M tarpit=20s+10%<300s maxrcpt0=2\n"
    "default helo strict\n"
    "default login maxsize=100M\n"
    "net 10.0.0.0/8 relay maxsize=10M vrfy expn etrn\n"
    "net 10.1.0.0/16 quirks=nopipelining,nodsn,oneline etrn=a.test tarpit=1s+100%<4s\n"
    "net 10.2.0.0/16 tls=off authreq\n"
    "port 587 tls=require authreq maxsize=50M maxrcpt=500 fqdn\n"
    "port 2525 quirks=noehlo,oneline\n"
    "helo old quirks=sloppy,noehlo\n"
    "login fred maxsize=200M etrn=b.test\n"
    "login mary etrn\n";

std::string policy_text(const wire::SessionPolicy& policy) {
    std::string text;
    for (const PolicyPart& part : policy_parts(policy)) {
        text += (text.empty() ? "" : " ") + std::string(part.name);
        if (!part.value.empty()) text += "=" + part.value;
    }
    return text;
}

/// A client from its parts, any of which may be empty.
Client client_of(const std::string& address, std::uint16_t port, const std::string& helo,
                 const std::string& login) {
    Client client;
    if (!address.empty()) client.address = config::IpAddress::parse(address).value();
    client.port = port;
    client.helo = helo;
    client.login = login;
    return client;
}

}  // namespace

TEST_CASE("the policy of a session comes from all lines about it", "[session_policy]") {
    FakeFacts facts;
    const auto tables = tables_of(kPolicy);
    struct Case {
        Client client;
        std::string policy;
    };
    const std::vector<Case> cases = {
        {client_of("203.0.113.9", 25, "", ""), "maxsize=30M conns=20 maxrcpt0=2 tarpit=20s+10%<5m"},
        {client_of("203.0.113.9", 25, "x", ""), "maxsize=30M conns=20 maxrcpt0=2 strict tarpit=20s+10%<5m"},
        {client_of("10.0.0.1", 25, "", ""),
         "relay vrfy expn etrn maxsize=10M conns=20 maxrcpt0=2 tarpit=20s+10%<5m"},
        {client_of("10.1.0.1", 25, "", ""),
         "etrn=a.test maxsize=30M conns=20 maxrcpt0=2 quirks=nopipelining,nodsn,oneline tarpit=1s+100%<4s"},
        // What is said of a greeting stands above what is said of a network.
        {client_of("10.1.0.1", 25, "OLD", ""),
         "etrn=a.test maxsize=30M conns=20 maxrcpt0=2 strict quirks=sloppy,noehlo tarpit=1s+100%<4s"},
        // A line of the port stands above the default line of networks, but below a line of one.
        {client_of("203.0.113.9", 587, "", ""),
         "maxsize=50M conns=20 maxrcpt=500 maxrcpt0=2 tls=require authreq fqdn tarpit=20s+10%<5m"},
        {client_of("10.2.0.1", 587, "", ""),
         "maxsize=50M conns=20 maxrcpt=500 maxrcpt0=2 tls=off authreq fqdn tarpit=20s+10%<5m"},
        {client_of("203.0.113.9", 2525, "", ""),
         "maxsize=30M conns=20 maxrcpt0=2 quirks=noehlo,oneline tarpit=20s+10%<5m"},
        {client_of("10.1.0.1", 2525, "", ""),
         "etrn=a.test maxsize=30M conns=20 maxrcpt0=2 quirks=nopipelining,nodsn,oneline tarpit=1s+100%<4s"},
        {client_of("203.0.113.9", 587, "", "fred"),
         "relay etrn=b.test maxsize=200M conns=20 maxrcpt=500 maxrcpt0=2 tls=require authreq fqdn "
         "tarpit=20s+10%<5m"},
        {client_of("10.1.0.1", 25, "", "fred"),
         "relay etrn=b.test,a.test maxsize=200M conns=20 maxrcpt0=2 quirks=nopipelining,nodsn,oneline "
         "tarpit=1s+100%<4s"},
        {client_of("10.1.0.1", 25, "", "mary"),
         "relay etrn maxsize=100M conns=20 maxrcpt0=2 quirks=nopipelining,nodsn,oneline tarpit=1s+100%<4s"},
    };
    for (const Case& one : cases) {
        CAPTURE(one.client.address->text(), one.client.port, one.client.helo, one.client.login);
        const ConnectDecision decision = decide_connect(one.client, *tables, facts);
        CHECK(decision.verdict.action == Verdict::Action::Accept);
        CHECK(policy_text(decision.policy) == one.policy);
        CHECK(decision.ask_again_with_helo == one.client.helo.empty());
    }
}

TEST_CASE("a local user has the general configuration, and may relay", "[session_policy]") {
    FakeFacts facts;
    const auto tables = tables_of(kPolicy + "login alice reject\n");
    Client local = client_of("", 0, "", "alice");
    local.local = true;
    const ConnectDecision decision = decide_connect(local, *tables, facts);
    CHECK(decision.verdict.action == Verdict::Action::Accept);
    CHECK(policy_text(decision.policy) == "relay");
    CHECK_FALSE(decision.ask_again_with_helo);
}

TEST_CASE("without lines nothing is said", "[session_policy]") {
    FakeFacts facts;
    const auto tables = tables_of("hostname mx2.test\n");
    const ConnectDecision decision = decide_connect(client_of("203.0.113.9", 25, "", ""), *tables, facts);
    CHECK(policy_text(decision.policy).empty());
    CHECK(decision.policy.ByteSizeLong() == 0);
    CHECK_FALSE(decision.ask_again_with_helo);
}

TEST_CASE("who is refused when he connects", "[session_policy]") {
    FakeFacts facts;
    const std::string policy =
        "hostname mx2.test\nlocal_domain local.test\n"
        "net 203.0.113.0/24 reject \"We reject %i\"\n"
        "net 198.51.100.0/24 defer\n"
        "net 203.0.113.77 reject \"550 5.7.27 no\"\n"
        "helo friend reject \"go away\"\n"
        "login spammer reject\n";
    struct Case {
        Client client;
        std::string verdict;
    };
    const std::vector<Case> cases = {
        {client_of("203.0.113.9", 25, "", ""), "554 5.7.1 We reject 203.0.113.9 :3"},
        {client_of("203.0.113.9", 25, "", "fred"), "554 5.7.1 We reject 203.0.113.9 :3"},
        {client_of("203.0.113.77", 25, "", ""), "550 5.7.27 no :5"},
        {client_of("198.51.100.1", 25, "", ""), "421 4.7.1 access denied :4"},
        {client_of("192.0.2.1", 25, "", ""), "0 default"},
        {client_of("192.0.2.1", 25, "Friend", ""), "550 5.7.1 go away :6"},
        {client_of("192.0.2.1", 587, "", "spammer"), "550 5.7.1 account refused :7"},
    };
    const auto text_of = [](const Verdict& verdict) {
        const std::string rule = verdict.rule.substr(std::min(verdict.rule.rfind(':'), verdict.rule.size()));
        if (verdict.action == Verdict::Action::Accept) return "0 " + verdict.rule;
        return std::to_string(verdict.code) + " " + verdict.enhanced + " " + verdict.text + " " + rule;
    };
    const auto tables = tables_of(policy);
    for (const Case& one : cases) {
        CAPTURE(one.verdict);
        CHECK(text_of(decide_connect(one.client, *tables, facts).verdict) == one.verdict);
    }
    // Where the postmaster is to be reached by everybody, a rejected network gets as far as RCPT.
    const auto open = tables_of(policy + "rcpt postmaster@ accept\n");
    CHECK(decide_connect(cases[0].client, *open, facts).verdict.action == Verdict::Action::Accept);
    CHECK(decide_connect(cases[3].client, *open, facts).verdict.action == Verdict::Action::Defer);
    CHECK(decide_connect(cases[5].client, *open, facts).verdict.action == Verdict::Action::Reject);
}

}  // namespace postrider::router
