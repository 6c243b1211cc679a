#include "router/policy_table.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "libcommon/config/directives.h"
#include "tests/unit/router/table_fixture.h"

namespace postrider::router {

using test::build;
using test::tables_of;

namespace {

const std::string kHost = "hostname mx2.test\nlocal_domain local.test\n";

/// The number of the line, which kHost begins with two of; 0 for none.
std::uint32_t line_of(const PolicyRule* rule) {
    return rule == nullptr ? 0 : rule->position.line;
}

Address address(std::string_view text) {
    return parse_address(text).value();
}

}  // namespace

TEST_CASE("the most specific network counts", "[policy_table]") {
    const auto tables = tables_of(kHost +
                                  "net 10.0.0.0/8 reject\n"
                                  "net 10.1.16.0/23 relay\n"
                                  "net 10.1.16.7 defer\n"
                                  "net 2001:db8::/32 relay\n");
    struct Case {
        std::string client;
        std::uint32_t line;
    };
    for (const Case& one : std::vector<Case>{{"10.2.0.1", 3},
                                             {"10.1.17.1", 4},
                                             {"10.1.16.7", 5},
                                             {"::ffff:10.1.16.7", 5},
                                             {"11.0.0.1", 0},
                                             {"2001:db8::1", 6},
                                             {"::1", 0}}) {
        CAPTURE(one.client);
        CHECK(line_of(tables->policy.net(config::IpAddress::parse(one.client).value())) == one.line);
    }
}

TEST_CASE("the most specific greeting counts", "[policy_table]") {
    const auto tables = tables_of(kHost +
                                  "helo friend reject\n"         // 3
                                  "helo *.dyn.test strict\n"     // 4
                                  "helo *.a.dyn.test reject\n"   // 5
                                  "helo *host*.dyn.test fqdn\n"  // 6: more specific than 4
                                  "helo h?st.test accept\n"      // 7
                                  "helo ho?t.test reject\n"      // 8: as specific as 7, and stricter
                                  "helo \\[192.0.2.* reject\n"   // 9
                                  "helo * quirks=noehlo\n");     // 10
    struct Case {
        std::string greeting;
        std::uint32_t line;
    };
    for (const Case& one : std::vector<Case>{{"friend", 3},
                                             {"FRIEND", 3},
                                             {"b.dyn.test", 4},
                                             {"x.A.dyn.test", 5},
                                             {"dyn.test", 10},
                                             {"my-host-1.dyn.test", 6},
                                             {"host.test", 8},
                                             {"hXst.test", 7},
                                             {"[203.0.113.9]", 0},
                                             {"[192.0.2.9]", 9},
                                             {"192.0.2.9", 10},
                                             {"", 0}}) {
        CAPTURE(one.greeting);
        CHECK(line_of(tables->policy.helo(one.greeting)) == one.line);
    }
}

TEST_CASE("the most specific address counts", "[policy_table]") {
    const auto tables = tables_of(kHost +
                                  "sender nobody.test reject\n"       // 3
                                  "sender .nobody.test reject\n"      // 4
                                  "sender friend@ defer\n"            // 5
                                  "sender good@nobody.test accept\n"  // 6
                                  "sender <> reject\n"                // 7
                                  "sender *.tree.test reject\n"       // 8
                                  "rcpt spamtrap@ reject\n"           // 9
                                  "rcpt fred+x@local.test reject\n"   // 10
                                  "rcpt fred@local.test defer\n");    // 11
    struct Case {
        std::string sender;
        std::uint32_t line;
    };
    for (const Case& one : std::vector<Case>{{"x@nobody.test", 3},
                                             {"x@a.nobody.test", 4},
                                             {"FRIEND@any.test", 5},
                                             {"friend@nobody.test", 5},
                                             {"Good@nobody.test", 6},
                                             {"x@tree.test", 8},
                                             {"x@a.b.tree.test", 8},
                                             {"x@xnobody.test", 0},
                                             {"x@test", 0}}) {
        CAPTURE(one.sender);
        const Address sender = address(one.sender);
        CHECK(line_of(tables->policy.sender(&sender)) == one.line);
    }
    CHECK(line_of(tables->policy.sender(nullptr)) == 7);
    const PolicyTable& policy = tables->policy;
    CHECK(line_of(policy.recipient(address("spamtrap+1@x.test"), "spamtrap")) == 9);
    CHECK(line_of(policy.recipient(address("fred+x@local.test"), "fred")) == 10);
    CHECK(line_of(policy.recipient(address("fred+y@local.test"), "fred")) == 11);
    CHECK(line_of(policy.recipient(address("fred@other.test"), std::nullopt)) == 0);
}

TEST_CASE("logins and ports", "[policy_table]") {
    const auto tables = tables_of(kHost +
                                  "auth fred maxsize=1M\nlogin * maxsize=2M\n"
                                  "auth \"pam\" maxsize=3M\nport 587 strict\n");
    CHECK(line_of(tables->policy.auth("fred")) == 3);
    CHECK(line_of(tables->policy.auth("Fred")) == 4);
    CHECK(line_of(tables->policy.auth("pam")) == 5);
    CHECK(line_of(tables->policy.port(587)) == 6);
    CHECK(line_of(tables->policy.port(25)) == 0);
}

TEST_CASE("a line takes from its classes what it does not say", "[policy_table]") {
    const auto tables = tables_of(kHost +
                                  "net 10.0.0.1 maxsize=1M use big use many\n"
                                  "net 10.0.0.2 use many use big\n"
                                  "net 10.0.0.3 accept use bad\n"
                                  "class big maxsize=10M relay conns=1\n"
                                  "class many conns=50 maxsize=20M use talk\n"
                                  "class talk vrfy expn etrn=a.test,b.test\n"
                                  "class bad reject \"550 5.7.1 bad\"\n");
    const auto rule = [&](const char* client) {
        return *tables->policy.net(config::IpAddress::parse(client).value());
    };
    const PolicyRule first = rule("10.0.0.1");
    CHECK(first.tuning.max_message_size == 1U << 20U);
    CHECK(first.tuning.max_connections == 1U);
    CHECK(first.grants.relay);
    CHECK(first.grants.vrfy);
    CHECK(first.grants.expn);
    CHECK_FALSE(first.grants.etrn);
    CHECK(first.grants.etrn_domains == std::vector<std::string>{"a.test", "b.test"});
    const PolicyRule second = rule("10.0.0.2");
    CHECK(second.tuning.max_message_size == 20U << 20U);
    CHECK(second.tuning.max_connections == 50U);
    const PolicyRule third = rule("10.0.0.3");
    CHECK(third.verb == PolicyVerb::Reject);
    CHECK(third.reply.text == "bad");
}

TEST_CASE("errors of the policy table say where they are", "[policy_table]") {
    struct Case {
        std::string lines;
        std::string error;  ///< behind the name of the file
    };
    const std::vector<Case> cases = {
        {"net 10.0.0.0/99 relay", "3:5: "},
        {"net 10.0.0.1/8 relay", "3:5: "},
        {"net 0.0.0.0/0 relay", "3:5: 0.0.0.0/0 relay is an open relay"},
        {"net ::/0 use all\nclass all relay", "3:5: ::/0 relay is an open relay"},
        {"net 10.0.0.0/8", "3:1: the line says nothing about 10.0.0.0/8"},
        {"net 10.0.0.0/8 rely", "3:16: unknown item \"rely\"; did you mean \"relay\"?"},
        {"net 10.0.0.0/8 relay\nnet 10.0.0.0/8 reject",
         "4:5: 10.0.0.0/8 is there already, at /etc/postrider/postrider.conf:3"},
        {"net 10.0.0.0/8 next", "3:16: unknown item \"next\""},
        {"class a next", "3:9: unknown item \"next\""},
        {"default rcpt next", "3:14: unknown item \"next\""},
        {"net 10.0.0.0/8 relay relay", "3:22: relay is there already"},
        {"net 10.0.0.0/8 reject defer", "3:23: a line has one of accept, reject, defer, quarantine"},
        {"net 10.0.0.0/8 relay \"text\"", "3:22: a text belongs to a reject, a defer or a quarantine"},
        {"net 10.0.0.0/8 reject \"450 4.7.1 text\"", "3:23: the reply of a reject begins with 5"},
        {"net 10.0.0.0/8 reject \"%z\"", "3:23: in a reply stand"},
        {"net 10.0.0.0/8 reject \"a\" \"b\"", "3:27: a line has one text of a reply"},
        {"net 10.0.0.0/8 maxsize=0", "3:16: "},
        {"net 10.0.0.0/8 conns=x", "3:16: \"x\" is not a number"},
        {"net 10.0.0.0/8 tls=yes", "3:16: \"yes\" is not one of require, offer, off"},
        {"net 10.0.0.0/8 quirks=noehlo,nodns", "3:16: \"nodns\" is not one of sloppy"},
        {"net 10.0.0.0/8 tarpit=1s", "3:16: \"1s\" is not of the form 1s+100%<4s"},
        {"net 10.0.0.0/8 tarpit=5s+1%<4s", "3:16: the longest delay"},
        {"net 10.0.0.0/8 etrn=a..b", "3:16: "},
        {"net 10.0.0.0/8 use", "3:16: use without the name of a class"},
        {"class client relay\nnet 10.0.0.0/8 use clinet",
         "4:20: there is no class clinet; did you mean \"client\"?"},
        {"class a use b\nclass b use a", "4:13: class a leads back to itself"},
        {"class a relay\nclass a vrfy", "4:7: class a is there already, at /etc/postrider/postrider.conf:3"},
        {"class a relay\nsender x.test use a", "4:1: relay is not for sender lines, nor for their classes"},
        {"port 0 strict", "3:6: the port is a number from 1 to 65535"},
        {"port 587 use a\nclass a conns=3", "3:1: conns is not for port lines"},
        {"helo [a reject", "3:6: [ without ]"},
        {"helo Friend reject\nhelo friend accept", "4:6: friend is there already"},
        {"sender * reject", "3:8: expected an address or a domain"},
        {"sender a@b@c reject", "3:8: "},
        {"rcpt <> reject", "3:6: nobody sends to <>"},
        {"rcpt x@ relay", "3:6: everybody could send to x@ of every domain: an open relay"},
        {"rcpt *.x.test local", "3:6: local needs the name of one domain"},
        {"rcpt local.test local", "3:6: local.test is a local domain already"},
        {"rcpt far.test accept", "3:6: accept lets no mail in for far.test"},
        {"rcpt u@far.test accept", "3:6: accept lets no mail in for far.test"},
        {"default rcpt accept", "3:1: default rcpt accept is an open relay"},
        {"default rcpt use a\nclass a relay", "3:1: default rcpt relay is an open relay"},
        {"net 0.0.0.0/0 trust=rcpt", "3:5: 0.0.0.0/0 trust= is an open relay"},
        {"net 10.0.0.0/8 trust=yes", "3:16: \"yes\" is not one of rcpt, all"},
        {"net 10.0.0.0/8 rate=0/1h", "3:16: a rate of zero allows nothing"},
        {"net 10.0.0.0/8 rate=5", "3:16: "},
        {"net 10.0.0.0/8 rate=5/1h over=drop", "3:26: \"drop\" is not one of defer, reject"},
        {"net 10.0.0.0/8 quarantine \"550 no\"", "3:27: the reason of a quarantine has no reply code"},
        {"rcpt u@local.test verify=maybe", "3:19: \"maybe\" is not one of on, off"},
        {"default sender quarantine", "3:1: quarantine cannot stand in a default line"},
        {"default rcpt discard", "3:1: discard cannot stand in a default line"},
        {"default net trust=all", "3:1: trust cannot stand in a default line"},
        {"class a norelay\nnet 10.0.0.0/8 use a", "4:1: norelay is not for net lines, nor for their classes"},
        {"default net relay", "3:1: relay cannot stand in a default line"},
        {"default net reject", "3:1: default net cannot refuse"},
        {"default nett conns=1", "3:9: expected one of net"},
        {"default net conns=1\ndefault net conns=2",
         "4:1: default net is there already, at /etc/postrider/postrider.conf:3"},
    };
    for (const Case& one : cases) {
        CAPTURE(one.lines);
        const BuildResult built = build(kHost + one.lines + "\n");
        CHECK_FALSE(built.tables);
        REQUIRE(built.errors.size() == 1);
        CHECK(built.errors.front().starts_with("/etc/postrider/postrider.conf:" + one.error));
    }
}

TEST_CASE("open relays are dangers", "[policy_table]") {
    struct Case {
        std::string line;
        std::size_t dangers;
    };
    for (const Case& one : std::vector<Case>{{"net 0.0.0.0/1 relay", 1},
                                             {"net 8000::/2 use c", 1},
                                             {"net 0.0.0.0/0 conns=5", 0},
                                             {"net 10.0.0.0/8 relay", 0},
                                             {"rcpt *.com relay", 1},
                                             {"rcpt *.x.com relay", 0}}) {
        CAPTURE(one.line);
        const BuildResult built = build(kHost + "class c relay\n" + one.line + "\n");
        CHECK(built.tables);
        CHECK(built.dangers.size() == one.dangers);
    }
}

TEST_CASE("what the rows of the directives allow is what the router reads", "[policy_table]") {
    for (std::size_t k = 0; k < kPolicyKinds; ++k) {
        const auto kind = static_cast<PolicyKind>(k);
        const config::DirectiveRow* directive = config::find_directive(kind_name(kind));
        REQUIRE(directive != nullptr);
        for (std::size_t i = 0; i < kPolicyItems; ++i) {
            const PolicyItemRow& item = policy_item_row(static_cast<PolicyItem>(i));
            CAPTURE(kind_name(kind), item.name);
            const auto implemented = [&](const std::vector<config::Keyword>& keywords) {
                for (const config::Keyword& keyword : keywords) {
                    if (keyword.name == item.name) return keyword.status == config::Status::Implemented;
                }
                return false;
            };
            CHECK(implemented(directive->flags) == (item.flag && item.holds_for(kind)));
            CHECK(implemented(directive->options) == (item.option && item.holds_for(kind)));
        }
    }
}

}  // namespace postrider::router
