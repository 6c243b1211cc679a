#include "libcommon/config/network.h"

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <netinet/in.h>

#include <cstring>

namespace postrider::config {

TEST_CASE("addresses", "[network]") {
    struct Case {
        std::string_view text;
        std::string_view expected;  // empty: an error
        std::string_view literal;
    };
    const Case cases[] = {
        {"192.0.2.1", "192.0.2.1", "[192.0.2.1]"},
        {"[192.0.2.1]", "192.0.2.1", "[192.0.2.1]"},
        {"2001:DB8:0::1", "2001:db8::1", "[IPv6:2001:db8::1]"},
        {"[::]", "::", "[IPv6:::]"},
        {"::ffff:192.0.2.1", "192.0.2.1", "[192.0.2.1]"},
        {"::192.0.2.1", "::192.0.2.1", "[IPv6:::192.0.2.1]"},
        {"192.0.2", "", ""},
        {"192.0.2.256", "", ""},
        {"192.0.2.1 ", "", ""},
        {"2001:db8::1%eth0", "", ""},
        {"", "", ""},
        {"[", "", ""},
        {"example.org", "", ""},
    };
    for (const auto& c : cases) {
        INFO(c.text);
        auto address = IpAddress::parse(c.text);
        CHECK(address.has_value() == !c.expected.empty());
        if (!address) continue;
        CHECK(address->text() == c.expected);
        CHECK(address->literal() == c.literal);
        CHECK(IpAddress::from_bytes(address->bytes()).value() == *address);
    }
    CHECK_FALSE(IpAddress::parse(std::string_view("192.0.2.1\0x", 11)));
    CHECK_FALSE(IpAddress::from_bytes("12345"));
    CHECK(IpAddress::parse("127.255.0.1")->is_loopback());
    CHECK(IpAddress::parse("::1")->is_loopback());
    CHECK_FALSE(IpAddress::parse("::2")->is_loopback());
    CHECK(IpAddress::parse("::")->is_any());
    CHECK(IpAddress().is_any());
    CHECK(IpAddress::parse("2001:db8:1:2:3::4")->masked(64).text() == "2001:db8:1:2::");
    CHECK(IpAddress::parse("192.0.2.255")->masked(25).text() == "192.0.2.128");
    CHECK(IpAddress::parse("192.0.2.255")->masked(0).text() == "0.0.0.0");
}

TEST_CASE("endpoints", "[network]") {
    struct Case {
        std::string_view text;
        std::string_view expected;
    };
    const Case cases[] = {
        {"0.0.0.0:25", "0.0.0.0:25"},
        {"[::]:25", "[::]:25"},
        {"[2001:db8::1]:65535", "[2001:db8::1]:65535"},
        {"[::ffff:192.0.2.1]:25", "192.0.2.1:25"},
        {"::1:25", ""},
        {"192.0.2.1", ""},
        {"192.0.2.1:", ""},
        {"192.0.2.1:0", ""},
        {"192.0.2.1:65536", ""},
        {"192.0.2.1:-1", ""},
        {"192.0.2.1:25x", ""},
        {":25", ""},
        {"localhost:25", ""},
        {"", ""},
    };
    for (const auto& c : cases) {
        INFO(c.text);
        auto endpoint = Endpoint::parse(c.text);
        CHECK(endpoint.has_value() == !c.expected.empty());
        if (endpoint) CHECK(endpoint->text() == c.expected);
    }
    CHECK(Endpoint::parse("::1", 53)->text() == "[::1]:53");
    CHECK(Endpoint::parse("127.0.0.1", 53)->text() == "127.0.0.1:53");
    CHECK(Endpoint::parse("127.0.0.1:54", 53)->text() == "127.0.0.1:54");
}

TEST_CASE("socket addresses there and back", "[network]") {
    for (const char* text : {"192.0.2.1:25", "[2001:db8::1]:587"}) {
        auto endpoint = Endpoint::parse(text);
        REQUIRE(endpoint);
        sockaddr_storage storage{};
        socklen_t length = endpoint->to_socket(storage);
        CHECK(length == (endpoint->address.is_v4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6)));
        CHECK(IpAddress::from_socket(storage).value() == endpoint->address);
    }
    sockaddr_in6 mapped{};
    mapped.sin6_family = AF_INET6;
    REQUIRE(::inet_pton(AF_INET6, "::ffff:192.0.2.7", &mapped.sin6_addr) == 1);
    sockaddr_storage storage{};
    std::memcpy(&storage, &mapped, sizeof mapped);
    CHECK(IpAddress::from_socket(storage)->text() == "192.0.2.7");
    storage.ss_family = AF_UNIX;
    CHECK_FALSE(IpAddress::from_socket(storage));
}

TEST_CASE("networks", "[network]") {
    struct Case {
        std::string_view text;
        std::string_view expected;  // the canonical text, or the error
    };
    const Case cases[] = {
        {"192.0.2.0/24", "192.0.2.0/24"},
        {"192.0.2.1", "192.0.2.1/32"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"2001:db8::/32", "2001:db8::/32"},
        {"[2001:db8::]/32", "2001:db8::/32"},
        {"::ffff:192.0.2.0/120", "192.0.2.0/24"},
        {"::ffff:0:0/96", "0.0.0.0/0"},
        {"::/0", "::/0"},
        {"192.0.2.1/24", "\"192.0.2.1/24\" has bits set behind its prefix; the network is 192.0.2.0/24"},
        {"192.0.2.0/33", "\"33\" is not a prefix length (0 to 32)"},
        {"192.0.2.0/", "\"\" is not a prefix length (0 to 32)"},
        {"192.0.2.0/x", "\"x\" is not a prefix length (0 to 32)"},
        {"2001:db8::/129", "\"129\" is not a prefix length (0 to 128)"},
        {"::ffff:0:0/95", "\"::ffff:0:0/95\" mixes IPv4 and IPv6 addresses"},
        {"example.org", "\"example.org\" is not an IP address or ADDRESS/PREFIX"},
    };
    for (const auto& c : cases) {
        INFO(c.text);
        auto network = Network::parse(c.text);
        CHECK((network ? network->text() : network.error().text) == c.expected);
    }
}

TEST_CASE("what a network contains", "[network]") {
    struct Case {
        std::string_view network;
        std::string_view address;
        bool contained;
    };
    const Case cases[] = {
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.0/25", "192.0.2.128", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "192.0.2.1", false},
        {"::/0", "2001:db8::1", true},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"192.0.2.0/24", "::ffff:192.0.2.9", true},
        {"::ffff:192.0.2.0/120", "192.0.2.9", true},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.6", false},
    };
    for (const auto& c : cases) {
        INFO(c.network << " " << c.address);
        CHECK(Network::parse(c.network)->contains(*IpAddress::parse(c.address)) == c.contained);
    }
}

}  // namespace postrider::config
