#include "router/mx_check.h"

#include <catch2/catch.hpp>

#include <algorithm>

#include "router/explain.h"
#include "tests/unit/router/explained.h"
#include "tests/unit/router/table_fixture.h"

namespace postrider::router {

using test::FakeFacts;
using test::tables_of;

namespace {

const std::string kUs = "hostname mx2.test\nself_address 192.0.2.10\nlocal_domain local.test\n";

class Exchange : public FakeFacts {
  public:
    Exchange() {
        set_addresses("p.test", {"192.0.2.20", "2001:db8::20"});
        set_addresses("us.test", {"192.0.2.10"});
        set_mx("primary.test", {{20, "us.test"}, {10, "p.test"}});
        set_mx("bestus.test", {{10, "us.test"}});
        set_mx("remote.test", {{10, "p.test"}});
        set_mx("slow.test", {{10, "silent.test"}, {20, "us.test"}});
        set_mx("gone.test", {{10, "there.is.none"}, {20, "us.test"}});
        set_dns("silent.test", dns::Type::A, FactState::Unavailable);
        set_mx("nullmx.test", {{0, ""}});
    }
};

bool has_line(const MxReport& report, const std::string& part) {
    return std::any_of(report.lines.begin(), report.lines.end(),
                       [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

}  // namespace

TEST_CASE("a backup that is set up well", "[mx_check]") {
    Exchange facts;
    const auto tables = tables_of(kUs + "relay_domain primary.test\n");
    const MxReport report = check_mx("primary.test", *tables, facts);
    CHECK(report.lines == std::vector<std::string>{
                              "exchangers of primary.test:", "  10 p.test 192.0.2.20 2001:db8::20",
                              "  20 us.test 192.0.2.10 = this host",
                              "this host is an exchanger of preference 20; mail is passed on to p.test",
                              "mail for it is accepted from everybody, at /etc/postrider/postrider.conf:4",
                              "mail for it goes out by MX"});
    CHECK_FALSE(report.has_problems);
    CHECK_FALSE(report.unclear);
    CHECK_FALSE(check_mx("local.test", *tables, facts).has_problems);
    const auto by_dns = tables_of(kUs + "default rcpt mx=backup\n");
    CHECK_FALSE(check_mx("primary.test", *by_dns, facts).has_problems);
}

TEST_CASE("what is wrong with a backup", "[mx_check]") {
    Exchange facts;
    const auto tables = tables_of(kUs +
                                  "relay_domain *.test\n"
                                  "route discard.test discard\n");
    const auto [domain, text] = GENERATE(table<std::string, std::string>({
        {"bestus.test", "warning: this host is the best exchanger"},
        {"remote.test", "warning: this host (mx2.test) is none of the exchangers"},
        {"nx.test", "warning: the domain does not exist"},
        {"nullmx.test", "warning: the domain says that it takes no mail"},
        {"gone.test", "warning: no better exchanger has an address"},
        {"discard.test", "warning: mail for it goes nowhere"},
    }));
    CAPTURE(domain);
    const MxReport report = check_mx(domain, *tables, facts);
    CHECK(has_line(report, text));
    CHECK(report.has_problems);
}

TEST_CASE("a smarthost that would send the mail back", "[mx_check]") {
    Exchange facts;
    const std::string text = kUs + "relay_domain primary.test\nroute * via smart.test:25\n";
    CHECK(has_line(check_mx("primary.test", *tables_of(text), facts), "warning: smart.test:25 may look"));
    const MxReport own = check_mx("primary.test", *tables_of(text + "route primary.test mx\n"), facts);
    CHECK_FALSE(own.has_problems);
    const MxReport tunnel =
        check_mx("primary.test", *tables_of(text + "route primary.test via [192.0.2.20]:2525\n"), facts);
    CHECK_FALSE(tunnel.has_problems);
    CHECK(has_line(tunnel, "via [192.0.2.20]:2525"));
}

TEST_CASE("a domain that nobody may send to, and a DNS that does not answer", "[mx_check]") {
    Exchange facts;
    CHECK(has_line(check_mx("primary.test", *tables_of(kUs), facts),
                   "warning: mail for it is accepted from clients that may relay only"));
    const auto tables = tables_of(kUs + "relay_domain *.test\n");
    CHECK(check_mx("slow.test", *tables, facts).unclear);
    facts.set_dns("down.test", dns::Type::Mx, FactState::Unavailable);
    CHECK(check_mx("down.test", *tables, facts).unclear);
}

TEST_CASE("explain shows the exchangers of a domain without a route of its own", "[mx_check]") {
    Exchange facts;
    const auto tables = tables_of(kUs + "relay_domain *.test\nroute fixed.test via [192.0.2.1]:25\n");
    wire::ExplainQuestion question;
    question.set_recipient("u@primary.test");
    const ClientHistory history;
    const ExplainInputs inputs{*tables, history, SteadyTime()};
    CHECK(test::item_texts(explain(question, nullptr, inputs, facts).items, "delivery") ==
          std::vector<std::string>{"delivery u@primary.test primary.test @default 10 p.test 192.0.2.20 "
                                   "2001:db8::20 20 us.test 192.0.2.10 = us"});
    question.set_recipient("u@fixed.test");
    facts.dns_questions = 0;
    static_cast<void>(explain(question, nullptr, inputs, facts));
    CHECK(facts.dns_questions == 0);
}

}  // namespace postrider::router
