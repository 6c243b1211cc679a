#include "router/network_table.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace postrider::router {

namespace {

config::IpAddress address(std::string_view text) {
    return config::IpAddress::parse(text).value();
}
config::Network network(std::string_view text) {
    return config::Network::parse(text).value();
}

}  // namespace

TEST_CASE("the longest prefix wins") {
    NetworkTable<std::string> table;
    for (const char* text :
         {"10.0.0.0/8", "10.1.16.0/23", "10.1.16.7", "2001:db8::/32", "2001:db8:1::/48", "0.0.0.0/0"})
        CHECK(table.add(network(text), text) == nullptr);
    struct Case {
        const char* client;
        const char* expected;
    };
    const std::vector<Case> cases = {
        {"10.2.3.4", "10.0.0.0/8"},         {"10.1.17.255", "10.1.16.0/23"},     {"10.1.18.0", "10.0.0.0/8"},
        {"10.1.16.7", "10.1.16.7"},         {"::ffff:10.1.16.7", "10.1.16.7"},   {"203.0.113.9", "0.0.0.0/0"},
        {"2001:db8:2::1", "2001:db8::/32"}, {"2001:db8:1::1", "2001:db8:1::/48"}};
    for (const Case& one : cases) {
        CAPTURE(one.client);
        REQUIRE(table.find(address(one.client)) != nullptr);
        CHECK(*table.find(address(one.client)) == one.expected);
    }
    CHECK(table.find(address("2001:db9::1")) == nullptr);
}

TEST_CASE("an empty table knows nobody, and the same network twice gives the first") {
    NetworkTable<int> table;
    CHECK(table.find(address("127.0.0.1")) == nullptr);
    CHECK(table.add(network("127.0.0.0/8"), 1) == nullptr);
    const int* earlier = table.add(network("::ffff:127.0.0.0/104"), 2);
    REQUIRE(earlier != nullptr);
    CHECK(*earlier == 1);
}

}  // namespace postrider::router
