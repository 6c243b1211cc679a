#include "router/client_name.h"

#include <catch2/catch.hpp>

#include "tests/unit/router/table_fixture.h"

namespace postrider::router {

using test::FakeFacts;
using test::tables_of;

namespace {

const std::string kHost = "hostname mx2.test\nlocal_domain local.test\n";
const config::IpAddress kClient = config::IpAddress::parse("203.0.113.9").value();
const std::string kReverse = "9.113.0.203.in-addr.arpa";

}  // namespace

TEST_CASE("an address as labels, the last part first", "[client_name]") {
    CHECK(reversed_labels(kClient) == "9.113.0.203");
    CHECK(reversed_labels(config::IpAddress::parse("2001:db8::ab").value()) ==
          "b.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2");
}

TEST_CASE("a reverse name counts if it leads back to the client", "[client_name]") {
    const auto tables = tables_of(kHost);
    FakeFacts facts;
    CHECK(find_client_names(kClient, *tables, facts).confirmed.empty());
    facts.set_reverse(kReverse, {"liar.example", "out.example", "other.example", "bank.example"});
    facts.set_addresses("liar.example", {"203.0.113.8"});
    facts.set_addresses("out.example", {"203.0.113.7", "203.0.113.9", "2001:db8::1"});
    facts.set_addresses("other.example", {"203.0.113.9"});
    const ClientNames names = find_client_names(kClient, *tables, facts);
    CHECK(names.confirmed == "out.example");
    CHECK(names.unconfirmed == std::vector<std::string>{"liar.example", "other.example", "bank.example"});

    const config::IpAddress v6 = config::IpAddress::parse("2001:db8::1").value();
    facts.set_reverse(reversed_labels(v6) + ".ip6.arpa", {"out.example"});
    CHECK(find_client_names(v6, *tables, facts).confirmed == "out.example");
}

TEST_CASE("a DNS that does not answer gives no name", "[client_name]") {
    const auto tables = tables_of(kHost);
    for (const FactState state : {FactState::Unavailable, FactState::Pending}) {
        FakeFacts facts;
        facts.set_reverse(kReverse, {"out.example"});
        facts.set_dns("out.example", dns::Type::A, state);
        CHECK(find_client_names(kClient, *tables, facts).confirmed.empty());
        CHECK(find_client_names(kClient, *tables, facts).unconfirmed ==
              std::vector<std::string>{"out.example"});
        facts.set_dns(kReverse, dns::Type::Ptr, state);
        CHECK(find_client_names(kClient, *tables, facts).unconfirmed.empty());
        CHECK(facts.complete() == (state == FactState::Unavailable));
        if (!facts.complete()) CHECK(facts.missing().names.front().patience == Seconds(3));
    }
}

TEST_CASE("names are bounded, and can be left alone", "[client_name]") {
    FakeFacts facts;
    std::vector<std::string> many;
    for (int i = 0; i < 50; ++i)
        many.push_back("n" + std::to_string(i) + ".example");
    facts.set_reverse(kReverse, many);
    CHECK(find_client_names(kClient, *tables_of(kHost), facts).unconfirmed.size() == 5);
    facts.dns_questions = 0;
    const auto off = tables_of(kHost + "client_name_timeout 0s\n");
    CHECK(find_client_names(kClient, *off, facts).unconfirmed.empty());
    CHECK(facts.dns_questions == 0);
}

}  // namespace postrider::router
