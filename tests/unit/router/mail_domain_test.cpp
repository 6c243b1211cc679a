#include "router/mail_domain.h"

#include <catch2/catch.hpp>

#include "tests/unit/router/table_fixture.h"

namespace postrider::router {

using test::FakeFacts;
using test::tables_of;

namespace {

const std::string kUs = "hostname mx2.test\nlocal_domain local.test\nself_address 192.0.2.10 198.51.100.10\n";

/// The zones of the scenarios.
class Zones : public FakeFacts {
  public:
    Zones() {
        set_addresses("us.test", {"192.0.2.10"});
        set_addresses("p.test", {"192.0.2.20"});
        set_addresses("m3.test", {"192.0.2.30", "2001:db8::30"});
        set_addresses("loopback.test", {"127.0.0.1"});
        set_addresses("zero.test", {"0.0.0.0"});
        set_addresses("inside.test", {"10.0.0.7"});
        set_addresses("nat.test", {"198.51.100.10"});
        set_mx("primary.test", {{20, "us.test"}, {10, "p.test"}});
        set_mx("twobk.test", {{10, "p.test"}, {20, "us.test"}, {20, "m3.test"}});
        set_mx("bestus.test", {{10, "us.test"}, {20, "p.test"}});
        set_mx("byname.test", {{10, "p.test"}, {20, "mx2.test"}});
        set_mx("remote.test", {{10, "p.test"}});
        set_mx("natted.test", {{10, "p.test"}, {20, "nat.test"}});
        set_mx("lo.test", {{10, "loopback.test"}});
        set_mx("lo2.test", {{10, "loopback.test"}, {20, "us.test"}});
        set_mx("zeros.test", {{10, "zero.test"}});
        set_mx("private.test", {{10, "inside.test"}, {15, "p.test"}, {20, "us.test"}});
        set_mx("nullmx.test", {{0, ""}});
        set_mx("nohost.test", {{10, "there.is.none"}});
        set_mx("gone.test", {{10, "there.is.none"}, {20, "us.test"}});
        set_addresses("nomx.test", {"192.0.2.60"});
        set_addresses("itsus.test", {"192.0.2.10"});
        add_name("empty.test");
        set_dns("servfail.test", dns::Type::Mx, FactState::Unavailable);
        set_dns("silent.test", dns::Type::A, FactState::Unavailable);
        set_mx("better.test", {{10, "silent.test"}, {20, "us.test"}});
        set_mx("worse.test", {{10, "p.test"}, {20, "us.test"}, {30, "silent.test"}});
        set_mx("perhaps.test", {{10, "p.test"}, {20, "silent.test"}});
        set_mx("slow.test", {{10, "silent.test"}});
    }
};

}  // namespace

TEST_CASE("domains that can get mail", "[mail_domain]") {
    const auto tables = tables_of(kUs);
    Zones zones;
    const auto [domain, expected, exists] = GENERATE(table<std::string, MailDomain, MailDomain>({
        {"primary.test", MailDomain::Good, MailDomain::Good},
        {"nomx.test", MailDomain::Good, MailDomain::Good},
        {"perhaps.test", MailDomain::Good, MailDomain::Good},
        {"nx.test", MailDomain::NoSuchDomain, MailDomain::NoSuchDomain},
        {"nullmx.test", MailDomain::NullMx, MailDomain::Good},
        {"lo.test", MailDomain::NoHost, MailDomain::Good},
        {"lo2.test", MailDomain::Good, MailDomain::Good},
        {"zeros.test", MailDomain::NoHost, MailDomain::Good},
        {"nohost.test", MailDomain::NoHost, MailDomain::Good},
        {"empty.test", MailDomain::NoHost, MailDomain::Good},
        {"servfail.test", MailDomain::Unclear, MailDomain::Unclear},
        {"slow.test", MailDomain::Unclear, MailDomain::Good},
    }));
    CAPTURE(domain);
    CHECK(check_mail_domain(domain, *tables, zones) == expected);
    CHECK(check_existence(domain, *tables, zones) == exists);
    CHECK(zones.complete());
}

TEST_CASE("T12 this host as a backup, as the DNS says it", "[mail_domain]") {
    const auto tables = tables_of(kUs);
    Zones zones;
    const auto [domain, backup, any] = GENERATE(table<std::string, Admission, Admission>({
        {"primary.test", Admission::Admitted, Admission::Admitted},
        {"twobk.test", Admission::Admitted, Admission::Admitted},
        {"byname.test", Admission::Admitted, Admission::Admitted},
        {"natted.test", Admission::Admitted, Admission::Admitted},
        {"worse.test", Admission::Admitted, Admission::Admitted},
        {"bestus.test", Admission::NotExchanger, Admission::Admitted},
        {"remote.test", Admission::NotExchanger, Admission::NotExchanger},
        {"nomx.test", Admission::NotExchanger, Admission::NotExchanger},
        {"itsus.test", Admission::NotExchanger, Admission::Admitted},
        {"nx.test", Admission::NoSuchDomain, Admission::NoSuchDomain},
        {"nullmx.test", Admission::NullMx, Admission::NullMx},
        {"servfail.test", Admission::Unclear, Admission::Unclear},
        {"better.test", Admission::Unclear, Admission::Admitted},
        {"perhaps.test", Admission::Unclear, Admission::Unclear},
        {"private.test", Admission::PrivateHost, Admission::Admitted},
        {"gone.test", Admission::NotExchanger, Admission::Admitted},
        {"lo2.test", Admission::NotExchanger, Admission::Admitted},
        {"nohost.test", Admission::NotExchanger, Admission::NotExchanger},
    }));
    CAPTURE(domain);
    CHECK(check_admission(domain, MxRule::Backup, *tables, zones) == backup);
    CHECK(check_admission(domain, MxRule::Any, *tables, zones) == any);
}

TEST_CASE("a domain with too many exchangers to look at admits nobody", "[mail_domain]") {
    const auto tables = tables_of(kUs + "dns_mx_hosts 3\n");
    Zones zones;
    zones.set_mx("many.test", {{1, "p.test"}, {2, "m3.test"}, {3, "x.test"}, {4, "us.test"}});
    zones.set_addresses("x.test", {"192.0.2.77"});
    CHECK(check_admission("many.test", MxRule::Backup, *tables, zones) == Admission::Unclear);
    zones.set_mx("many.test", {{1, "p.test"}, {2, "m3.test"}, {3, "us.test"}, {4, "x.test"}});
    CHECK(check_admission("many.test", MxRule::Backup, *tables, zones) == Admission::Admitted);
    CHECK(zones.dns_questions == 2 * (1 + 3 * 2));
}

TEST_CASE("facts that are pending are asked for together, and nothing is decided by them", "[mail_domain]") {
    const auto tables = tables_of(kUs);
    Zones zones;
    zones.set_dns("p.test", dns::Type::A, FactState::Pending);
    zones.set_dns("us.test", dns::Type::A, FactState::Pending);
    CHECK(check_admission("primary.test", MxRule::Backup, *tables, zones) == Admission::Unclear);
    CHECK(zones.take_missing().names.size() == 2);
    CHECK(check_mail_domain("primary.test", *tables, zones) == MailDomain::Unclear);
    CHECK(zones.take_missing().names.size() == 1);
}

TEST_CASE("addresses of somebody's own network", "[mail_domain]") {
    for (const char* text :
         {"10.1.2.3", "172.31.0.1", "192.168.0.1", "169.254.1.1", "100.64.0.1", "fd00::1", "fe80::1"}) {
        CAPTURE(text);
        CHECK(is_private(config::IpAddress::parse(text).value()));
    }
    for (const char* text : {"192.0.2.1", "172.32.0.1", "100.128.0.1", "2001:db8::1", "11.0.0.1"}) {
        CAPTURE(text);
        CHECK_FALSE(is_private(config::IpAddress::parse(text).value()));
    }
}

}  // namespace postrider::router
