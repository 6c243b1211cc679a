// The lines rdns, and the options senddns=, rcptdns=, dnsbl= and mx= of others.

#include "router/dns_policy.h"

#include <catch2/catch.hpp>

#include "router/block_list.h"
#include "router/policy.h"
#include "tests/unit/router/table_fixture.h"

namespace postrider::router {

using test::build;
using test::FakeFacts;
using test::tables_of;

namespace {

const std::string kUs =
    "hostname mx2.test\nself_address 192.0.2.10\nlocal_domain local.test\nnet 10.0.0.0/8 relay\n";  // 4 lines

/// A world with some of the scenarios' zones.
class World : public FakeFacts {
  public:
    World() {
        set_addresses("p.test", {"192.0.2.20"});
        set_addresses("us.test", {"192.0.2.10"});
        set_mx("remote.test", {{10, "p.test"}});
        set_mx("primary.test", {{10, "p.test"}, {20, "us.test"}});
        set_mx("nullmx.test", {{0, ""}});
        add_name("empty.test");
        set_dns("servfail.test", dns::Type::Mx, FactState::Unavailable);
        set_addresses("9.113.0.203.rbl.test", {"127.0.0.2"});
        set_text("9.113.0.203.rbl.test", {"listed: see \r\nrbl.test/9"});
        set_dns("9.113.0.203.dead.test", dns::Type::A, FactState::Unavailable);
        set_addresses("9.113.0.203.other.test", {"203.0.113.1"});
        set_addresses("9.113.0.203.limit.test", {"127.255.255.254"});
        set_addresses("9.113.0.203.mask.test", {"127.0.0.4", "127.0.0.8"});
        set_addresses("9.113.0.203.wl.test", {"127.0.10.1"});
    }
};

Client from(std::string_view address, std::string name = {}) {
    Client client;
    client.address = config::IpAddress::parse(address).value();
    client.port = 25;
    client.name = std::move(name);
    client.begins_session = true;
    return client;
}

/// "250 LINE" or "CODE ENHANCED LINE".
std::string brief(const Verdict& verdict) {
    const std::size_t colon = verdict.rule.rfind(':');
    const std::string line = colon == std::string::npos ? verdict.rule : verdict.rule.substr(colon + 1);
    if (verdict.action == Verdict::Action::Accept) return "250 " + line;
    return std::to_string(verdict.code) + " " + verdict.enhanced + " " + line;
}

std::string at_connect(const Tables& tables, const Client& client, Facts& facts) {
    return brief(decide_connect(client, tables, facts).verdict);
}
std::string at_mail(const Tables& tables, const std::string& sender, Facts& facts,
                    const Client& client = from("203.0.113.9")) {
    return brief(decide_sender(client, sender, tables, facts));
}
std::string at_rcpt(const Tables& tables, const std::string& recipient, Facts& facts,
                    const Client& client = from("203.0.113.9")) {
    return brief(decide_recipient(client, "x@y.test", recipient, tables, facts).verdict);
}

}  // namespace

TEST_CASE("T54 names of clients", "[dns_policy]") {
    World world;
    const auto tables = tables_of(kUs +
                                  "rdns .dyn.example reject \"no %i\"\n"  // 5
                                  "rdns good.dyn.example accept\n"        // 6
                                  "rdns *.customer.example relay\n"       // 7
                                  "rdns late.example defer\n"             // 8
                                  "net 203.0.113.77 accept\n"             // 9
                                  "net 203.0.113.78 reject\n");           // 10
    const auto connects = [&](const Client& client) { return at_connect(*tables, client, world); };
    CHECK(connects(from("203.0.113.9")) == "250 default");
    CHECK(connects(from("203.0.113.9", "a.dyn.example")) == "554 5.7.1 5");
    CHECK(connects(from("203.0.113.9", "dyn.example")) == "250 default");
    CHECK(connects(from("203.0.113.9", "good.dyn.example")) == "250 6");
    CHECK(connects(from("203.0.113.9", "late.example")) == "421 4.7.1 8");
    CHECK(connects(from("203.0.113.77", "a.dyn.example")) == "250 9");
    CHECK(connects(from("203.0.113.78", "good.dyn.example")) == "554 5.7.1 10");

    const Client customer = from("203.0.113.9", "a.customer.example");
    CHECK(connects(customer) == "250 7");
    CHECK(decide_connect(customer, *tables, world).policy.relay());
    CHECK(at_rcpt(*tables, "u@far.test", world, customer) == "250 7");

    // What is not confirmed refuses, and grants nothing.
    Client claimed = from("203.0.113.9");
    claimed.unconfirmed_names = {"a.customer.example"};
    CHECK(connects(claimed) == "250 default");
    CHECK_FALSE(decide_connect(claimed, *tables, world).policy.relay());
    CHECK(at_rcpt(*tables, "u@far.test", world, claimed) == "550 5.7.1 default");
    claimed.unconfirmed_names = {"a.customer.example", "b.dyn.example"};
    CHECK(connects(claimed) == "554 5.7.1 5");
    CHECK(at_rcpt(*tables, "alice@local.test", world, claimed) == "550 5.7.1 5");

    // An exempt recipient is reached all the same.
    const auto exempting = tables_of(kUs + "rdns .dyn.example reject\nrcpt postmaster@ accept\n");
    CHECK(at_connect(*exempting, claimed, world) == "250 default");
    CHECK(at_rcpt(*exempting, "alice@local.test", world, claimed) == "550 5.7.1 5");
    CHECK(at_rcpt(*exempting, "postmaster@local.test", world, claimed) == "250 3");
}

TEST_CASE("lines with names of clients that are none", "[dns_policy]") {
    for (const char* line : {"rdns * reject\n", "rdns com relay\n", "rdns .com relay\n", "rdns a..b reject\n",
                             "rdns x@y.test reject\n", "rdns a.test local\n", "default rdns reject\n",
                             "rdns a.test reject\nrdns a.test relay\n", "rdns a.test maxsize=1M\n"}) {
        CAPTURE(line);
        bool refused = true;
        try {
            refused = !build(kUs + line).errors.empty();
        } catch (const std::exception&) {  // an error of the language
        }
        CHECK(refused);
    }
}

TEST_CASE("T58 domains of senders", "[dns_policy]") {
    World world;
    const auto tables = tables_of(kUs +
                                  "default sender senddns=require\n"  // 5
                                  "sender free.test senddns=off\n"    // 6
                                  "net 10.2.0.0/16 relay senddns=off\n"
                                  "sender empty.test senddns=soft\n");  // 8
    const auto mail = [&](const std::string& sender) { return at_mail(*tables, sender, world); };
    CHECK(mail("x@remote.test") == "250 default");
    CHECK(mail("x@nx.test") == "550 5.1.8 5");
    CHECK(mail("x@servfail.test") == "451 4.4.3 5");
    CHECK(mail("x@nullmx.test") == "550 5.7.27 5");
    CHECK(mail("x@empty.test") == "250 8");
    CHECK(mail("x@free.test") == "250 6");
    CHECK(mail("") == "250 default");
    CHECK(mail("x@[203.0.113.9]") == "250 default");
    CHECK(mail("alice@local.test") == "250 default");
    CHECK(at_mail(*tables, "x@nx.test", world, from("10.1.0.1")) == "550 5.1.8 5");
    CHECK(at_mail(*tables, "x@nx.test", world, from("10.2.0.1")) == "250 default");
    Client local;
    local.local = true;
    CHECK(at_mail(*tables, "x@nx.test", world, local) == "250 default");

    const auto soft = tables_of(kUs + "default net senddns=soft\n");
    CHECK(at_mail(*soft, "x@nx.test", world) == "550 5.1.8 5");
    CHECK(at_mail(*soft, "x@nullmx.test", world) == "250 default");
    CHECK(at_mail(*soft, "x@empty.test", world) == "250 default");
    CHECK(at_mail(*soft, "x@servfail.test", world) == "451 4.4.3 5");
    CHECK(world.complete());
}

TEST_CASE("domains of recipients", "[dns_policy]") {
    World world;
    const auto tables = tables_of(kUs +
                                  "default net rcptdns=require\n"  // 5
                                  "relay_domain nx.test\n"         // 6
                                  "route routed.test via [192.0.2.1]:25\n");
    const auto rcpt = [&](const std::string& recipient) {
        return at_rcpt(*tables, recipient, world, from("10.0.0.5"));
    };
    CHECK(rcpt("u@remote.test") == "250 4");
    CHECK(rcpt("u@nowhere.test") == "550 5.1.2 5");
    CHECK(rcpt("u@nullmx.test") == "556 5.1.10 5");
    CHECK(rcpt("u@empty.test") == "550 5.4.4 5");
    CHECK(rcpt("u@servfail.test") == "451 4.4.3 5");
    CHECK(rcpt("u@routed.test") == "250 4");
    CHECK(rcpt("u@nx.test") == "250 6");
    CHECK(rcpt("u@[192.0.2.1]") == "250 4");
    CHECK(rcpt("alice@local.test") == "250 3");
    CHECK(at_rcpt(*tables, "u@nowhere.test", world) == "550 5.7.1 default");
    CHECK(at_rcpt(*tables_of(kUs), "u@nowhere.test", world, from("10.0.0.5")) == "250 4");
}

TEST_CASE("T12 recipients by the MX records of their domain", "[dns_policy]") {
    World world;
    const auto tables = tables_of(kUs +
                                  "default rcpt mx=backup reject \"550 5.7.1 not here\"\n"   // 5
                                  "rcpt off.test mx=off\n"                                   // 6
                                  "rcpt own.test mx=backup\n"                                // 7
                                  "class backup mx=backup\nrcpt .classed.test use backup\n"  // 9
                                  "rcpt no.classed.test mx=off use backup\n");               // 10
    world.set_mx("off.test", {{10, "p.test"}, {20, "us.test"}});
    world.set_mx("no.classed.test", {{10, "p.test"}, {20, "us.test"}});
    world.set_mx("a.classed.test", {{10, "p.test"}, {20, "us.test"}});
    world.set_mx("own.test", {{20, "us.test"}});
    const auto rcpt = [&](const std::string& recipient) { return at_rcpt(*tables, recipient, world); };
    CHECK(rcpt("u@primary.test") == "250 5");
    CHECK(rcpt("u@remote.test") == "550 5.7.1 5");
    CHECK(rcpt("u@nx.test") == "550 5.1.2 5");
    CHECK(rcpt("u@nullmx.test") == "556 5.1.10 5");
    CHECK(rcpt("u@servfail.test") == "451 4.4.3 5");
    CHECK(rcpt("u@[192.0.2.20]") == "550 5.7.1 5");
    CHECK(rcpt("u@off.test") == "550 5.7.1 6");
    CHECK(rcpt("u@own.test") == "550 5.7.1 7");
    CHECK(rcpt("u@a.classed.test") == "250 9");
    CHECK(rcpt("u@no.classed.test") == "550 5.7.1 10");
    CHECK(at_rcpt(*tables_of(kUs), "u@primary.test", world) == "550 5.7.1 default");
    CHECK_FALSE(build(kUs + "default net mx=backup\n").errors.empty());
    CHECK(build(kUs + "default rcpt mx=any\n").dangers.size() == 1);
}

TEST_CASE("T59 block lists at the connection", "[dns_policy]") {
    World world;
    const auto tables = tables_of(kUs + "default net dnsbl=dead.test:rbl.test at=connect\n");
    const ConnectDecision decision = decide_connect(from("203.0.113.9"), *tables, world);
    CHECK(brief(decision.verdict) == "554 5.7.1 5");
    CHECK(decision.verdict.text == "listed: see ??rbl.test/9");
    CHECK(at_connect(*tables, from("203.0.113.10"), world) == "250 default");
    Client later = from("203.0.113.9");
    later.begins_session = false;
    CHECK(at_connect(*tables, later, world) == "250 default");
    Client submitter = from("203.0.113.9");
    submitter.submission = true;
    CHECK(at_connect(*tables, submitter, world) == "250 default");
    world.set_addresses("5.0.0.10.rbl.test", {"127.0.0.2"});
    CHECK(at_connect(*tables, from("10.0.0.5"), world) == "250 4");
    CHECK(at_rcpt(*tables, "alice@local.test", world) == "250 3");
    CHECK(world.complete());

    // Where a recipient is exempt, he must be reached.
    const auto exempting =
        tables_of(kUs + "default net dnsbl=rbl.test at=connect\nrcpt postmaster@ accept\n");
    CHECK(at_connect(*exempting, from("203.0.113.9"), world) == "250 default");
    CHECK(at_rcpt(*exempting, "alice@local.test", world) == "550 5.7.1 5");
    CHECK(at_rcpt(*exempting, "postmaster@local.test", world) == "250 3");
}

TEST_CASE("T59 block lists at the recipient", "[dns_policy]") {
    World world;
    const auto tables = tables_of(kUs +
                                  "default net dnsbl=rbl.test at=rcpt\n"     // 5
                                  "rcpt nofilter.test local dnsbl=ignore\n"  // 6
                                  "net 203.0.113.0/28 dnsbl=off\n"
                                  "relay_domain relayed.test\n");
    world.add("u", 2000);
    CHECK(at_connect(*tables, from("203.0.113.9"), world) == "250 7");
    const auto none = tables_of(kUs +
                                "default net dnsbl=rbl.test\nrcpt nofilter.test local dnsbl=ignore\n"
                                "relay_domain relayed.test\n");
    const auto rcpt = [&](const std::string& recipient) { return at_rcpt(*none, recipient, world); };
    CHECK(rcpt("alice@local.test") == "550 5.7.1 5");
    CHECK(rcpt("u@nofilter.test") == "250 6");
    CHECK(rcpt("postmaster@local.test") == "250 3");
    CHECK(rcpt("Abuse@local.test") == "250 3");
    CHECK(rcpt("postmaster@relayed.test") == "550 5.7.1 5");
    CHECK(rcpt("x@relayed.test") == "550 5.7.1 5");
    CHECK(rcpt("nobody@local.test") == "550 5.1.1 3");
    CHECK(at_rcpt(*none, "alice@local.test", world, from("10.0.0.5")) == "250 3");
    CHECK(at_rcpt(*tables, "alice@local.test", world) == "250 3");
    Client known = from("203.0.113.9");
    known.login = "alice";
    CHECK(at_rcpt(*none, "alice@local.test", world, known) == "250 3");
    const auto by_default = tables_of(kUs +
                                      "default net dnsbl=rbl.test\ndefault rcpt dnsbl=ignore reject\n"
                                      "rcpt strict@local.test dnsbl=use\n");
    world.add("strict", 2001);
    CHECK(at_rcpt(*by_default, "alice@local.test", world) == "250 3");
    CHECK(at_rcpt(*by_default, "strict@local.test", world) == "550 5.7.1 5");
}

TEST_CASE("what lists answer", "[dns_policy]") {
    World world;
    const auto tables = tables_of(kUs);
    const config::IpAddress client = config::IpAddress::parse("203.0.113.9").value();
    using State = Listing::State;
    const auto [lists, state, text] = GENERATE(table<std::string, State, std::string>({
        {"rbl.test", State::Listed, "listed: see ??rbl.test/9"},
        {"dead.test", State::Unclear, ""},
        {"other.test", State::NotListed, ""},
        {"limit.test", State::Unclear, ""},
        {"none.test", State::NotListed, ""},
        {"mask.test", State::Listed, "the client is listed in mask.test"},
        {"mask.test/8", State::Listed, "the client is listed in mask.test"},
        {"mask.test/3", State::NotListed, ""},
    }));
    CAPTURE(lists);
    const std::vector<DnsList> parsed = DnsList::parse_all(lists).value();
    const Listing listing = look_up_listing(client, parsed.front(), *tables, world);
    CHECK(listing.state == state);
    CHECK(listing.text == text);
    PolicyTuning tuning;
    tuning.block_lists = parsed;
    CHECK(find_listing(client, tuning, *tables, world).has_value() == (state == State::Listed));
    tuning.allow_lists = DnsList::parse_all("none.test:wl.test").value();
    CHECK_FALSE(find_listing(client, tuning, *tables, world));
}

TEST_CASE("an IPv6 client's digits stand directly below the zone of a list", "[dns_policy]") {
    World world;
    const auto tables = tables_of(kUs);
    world.set_addresses("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.rbl.test",
                        {"127.0.0.2"});
    const DnsList list{"rbl.test", 0};
    const config::IpAddress client = config::IpAddress::parse("2001:db8::1").value();
    CHECK(look_up_listing(client, list, *tables, world).state == Listing::State::Listed);
}

TEST_CASE("lists are all asked at once", "[dns_policy]") {
    World world;
    const auto tables = tables_of(kUs + "default net dnsbl=a.test:b.test dnswl=c.test at=connect\n");
    for (const char* zone : {"a.test", "b.test", "c.test"})
        world.set_dns(std::string("9.113.0.203.") + zone, dns::Type::A, FactState::Pending);
    static_cast<void>(decide_connect(from("203.0.113.9"), *tables, world));
    CHECK(world.missing().names.size() == 3);
    CHECK(world.missing().names.front().patience == Seconds(5));
}

TEST_CASE("lists as they are written", "[dns_policy]") {
    const auto parsed = DnsList::parse_all("Zen.Example:b.test/6");
    REQUIRE(parsed);
    CHECK(*parsed == std::vector<DnsList>{{"zen.example", 0}, {"b.test", 6}});
    for (const char* text : {"", ":", "a.test:", "a.test/", "a.test/0", "a.test/256", "a.test/127.0.0.2",
                             "a b", "[192.0.2.1]"}) {
        CAPTURE(text);
        CHECK_FALSE(DnsList::parse_all(text));
    }
    for (const char* line :
         {"rcpt local.test dnsbl=rbl.test\n", "net 192.0.2.0/24 dnsbl=use\n",
          "net 192.0.2.0/24 dnsbl=ignore\n", "net 192.0.2.0/24 at=data\n", "sender a.test senddns=maybe\n",
          "net 192.0.2.0/24 rcptdns=soft\n", "rcpt a.test mx=yes\n", "sender a.test mx=any\n"}) {
        CAPTURE(line);
        bool refused = true;
        try {
            refused = !build(kUs + line).errors.empty();
        } catch (const std::exception&) {  // an error of the language
        }
        CHECK(refused);
    }
}

}  // namespace postrider::router
