#include "smtpd/connection_count.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace postrider::smtpd {

namespace {

config::IpAddress ip(const std::string& text) {
    return config::IpAddress::parse(text).value();
}

config::Limits limits(std::uint64_t total, std::uint64_t per_client) {
    config::Limits limits;
    limits.set(config::Limit::MaxConnections, total);
    limits.set(config::Limit::MaxConnectionsPerClient, per_client);
    return limits;
}

}  // namespace

TEST_CASE("connections are counted by client") {
    struct Case {
        std::string what;
        std::vector<std::string> connected;
        std::string next;
        Admission expected;
    };
    const std::vector<Case> cases = {
        {"a first one", {}, "192.0.2.1", Admission::Admitted},
        {"below the limit", {"192.0.2.1"}, "192.0.2.1", Admission::Admitted},
        {"at the limit", {"192.0.2.1", "192.0.2.1"}, "192.0.2.1", Admission::TooManyFromClient},
        {"the neighbour is another client", {"192.0.2.1", "192.0.2.1"}, "192.0.2.2", Admission::Admitted},
        {"one /64 is one client",
         {"2001:db8::1", "2001:db8::2"},
         "2001:db8::ffff:3",
         Admission::TooManyFromClient},
        {"the next /64 is another", {"2001:db8::1", "2001:db8::2"}, "2001:db8:0:1::1", Admission::Admitted},
        {"a mapped address is the IPv4 client",
         {"192.0.2.1", "192.0.2.1"},
         "::ffff:192.0.2.1",
         Admission::TooManyFromClient},
        {"all together",
         {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"},
         "192.0.2.5",
         Admission::TooManyConnections},
        {"the total is looked at first",
         {"192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3"},
         "192.0.2.1",
         Admission::TooManyConnections},
    };
    for (const Case& test : cases) {
        INFO(test.what);
        ConnectionCount count(limits(4, 2));
        for (const std::string& address : test.connected)
            REQUIRE(count.admit(ip(address)) == Admission::Admitted);
        CHECK(count.admit(ip(test.next)) == test.expected);
    }
}

TEST_CASE("a released place is free at once") {
    ConnectionCount count(limits(2, 1));
    REQUIRE(count.admit(ip("2001:db8::1")) == Admission::Admitted);
    REQUIRE(count.admit(ip("2001:db8::2")) == Admission::TooManyFromClient);
    CHECK(count.from(ip("2001:db8::99")) == 1);
    count.release(ip("2001:db8::1"));
    CHECK(count.from(ip("2001:db8::1")) == 0);
    CHECK(count.total() == 0);
    CHECK(count.admit(ip("2001:db8::2")) == Admission::Admitted);
    CHECK(count.admit_local() == Admission::Admitted);
    CHECK(count.admit_local() == Admission::TooManyConnections);
    count.release_local();
    CHECK(count.total() == 1);
}

TEST_CASE("clients get less where connections are scarce") {
    ConnectionCount count(limits(20, 20));  // 5 under overload
    for (int client = 0; client < 17; ++client)
        REQUIRE(count.admit(ip("192.0.2.1")) == Admission::Admitted);
    CHECK(count.load() == config::Load::Normal);
    REQUIRE(count.admit(ip("192.0.2.1")) == Admission::Admitted);
    CHECK(count.load() == config::Load::Overload);
    CHECK(count.admit(ip("192.0.2.1")) == Admission::TooManyFromClient);
    CHECK(count.admit(ip("192.0.2.2")) == Admission::Admitted);
}

TEST_CASE("releasing what was not admitted changes nothing") {
    ConnectionCount count(limits(2, 1));
    REQUIRE(count.admit(ip("192.0.2.1")) == Admission::Admitted);
    count.release(ip("192.0.2.9"));
    CHECK(count.total() == 1);
}

}  // namespace postrider::smtpd
