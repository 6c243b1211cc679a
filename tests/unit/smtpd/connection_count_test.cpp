#include "smtpd/connection_count.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace postrider::smtpd {

namespace {

config::IpAddress ip(const std::string& text) {
    return config::IpAddress::parse(text).value();
}

config::Limits limits(std::uint64_t total) {
    config::Limits limits;
    limits.set(config::Limit::MaxConnections, total);
    return limits;
}

}  // namespace

TEST_CASE("connections are counted by client") {
    struct Case {
        std::string what;
        std::vector<std::string> connected;
        std::string client;
        std::size_t expected;
    };
    const std::vector<Case> cases = {
        {"none", {}, "192.0.2.1", 0},
        {"two", {"192.0.2.1", "192.0.2.1"}, "192.0.2.1", 2},
        {"the neighbour is another client", {"192.0.2.1", "192.0.2.1"}, "192.0.2.2", 0},
        {"one /64 is one client", {"2001:db8::1", "2001:db8::2"}, "2001:db8::ffff:3", 2},
        {"the next /64 is another", {"2001:db8::1", "2001:db8::2"}, "2001:db8:0:1::1", 0},
        {"a mapped address is the IPv4 client", {"192.0.2.1"}, "::ffff:192.0.2.1", 1},
    };
    for (const Case& test : cases) {
        INFO(test.what);
        ConnectionCount count(limits(4));
        for (const std::string& address : test.connected)
            REQUIRE(count.admit(ip(address)));
        CHECK(count.from(ip(test.client)) == test.expected);
    }
}

TEST_CASE("a released place is free at once") {
    ConnectionCount count(limits(2));
    REQUIRE(count.admit(ip("2001:db8::1")));
    CHECK(count.from(ip("2001:db8::99")) == 1);
    count.release(ip("2001:db8::1"));
    CHECK(count.from(ip("2001:db8::1")) == 0);
    CHECK(count.total() == 0);
    CHECK(count.admit(ip("2001:db8::2")));
    CHECK(count.admit(uid_t{1000}));
    CHECK_FALSE(count.admit(uid_t{1000}));
    CHECK_FALSE(count.admit(ip("192.0.2.1")));
    count.release(uid_t{1000});
    CHECK(count.total() == 1);
}

TEST_CASE("each user of the host is a client of his own") {
    ConnectionCount count(limits(4));
    REQUIRE(count.admit(uid_t{1000}));
    REQUIRE(count.admit(uid_t{1000}));
    REQUIRE(count.admit(uid_t{1001}));
    CHECK(count.from(uid_t{1000}) == 2);
    CHECK(count.from(uid_t{1001}) == 1);
    CHECK(count.from(uid_t{0}) == 0);
}

TEST_CASE("nine of ten places in use are overload, until three are free") {
    ConnectionCount count(limits(20));
    for (int client = 0; client < 17; ++client)
        REQUIRE(count.admit(ip("192.0.2.1")));
    CHECK(count.load() == config::Load::Normal);
    REQUIRE(count.admit(ip("192.0.2.1")));
    CHECK(count.load() == config::Load::Overload);
    for (int closed = 0; closed < 3; ++closed)
        count.release(ip("192.0.2.1"));
    CHECK(count.load() == config::Load::Overload);
    count.release(ip("192.0.2.1"));
    CHECK(count.load() == config::Load::Normal);
}

TEST_CASE("releasing what was not admitted changes nothing") {
    ConnectionCount count(limits(2));
    REQUIRE(count.admit(ip("192.0.2.1")));
    count.release(ip("192.0.2.9"));
    CHECK(count.total() == 1);
}

}  // namespace postrider::smtpd
