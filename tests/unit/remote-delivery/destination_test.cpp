#include "remote-delivery/destination.h"

#include <catch2/catch.hpp>

namespace postrider::remote_delivery {
namespace {

using Kind = Destination::Kind;

TEST_CASE("the forms of a next hop") {
    struct Case {
        std::string text;
        std::string name;
        std::string address;
        Kind kind;
        std::uint16_t port;
        bool chosen;
    };
    const Case cases[] = {
        {"Example.ORG", "example.org", "", Kind::Domain, 25, false},
        {"b\xc3\xbc"
         "cher.example",
         "xn--bcher-kva.example", "", Kind::Domain, 25, false},
        {"mail.example.org:587", "mail.example.org", "", Kind::Host, 587, true},
        {"[192.0.2.1]:2525", "", "192.0.2.1", Kind::Address, 2525, true},
        {"[192.0.2.1]", "", "192.0.2.1", Kind::Address, 25, false},
        {"[::1]:25", "", "::1", Kind::Address, 25, true},
        {"[IPv6:2001:db8::1]", "", "2001:db8::1", Kind::Address, 25, false},
        {"[::ffff:127.0.0.1]:25", "", "127.0.0.1", Kind::Address, 25, true},
    };
    for (const Case& entry : cases) {
        CAPTURE(entry.text);
        auto destination = parse_destination(entry.text);
        REQUIRE(destination);
        CHECK(destination->kind == entry.kind);
        CHECK(destination->name == entry.name);
        CHECK((destination->address ? destination->address->text() : "") == entry.address);
        CHECK(destination->port == entry.port);
        CHECK(destination->chosen == entry.chosen);
    }
}

TEST_CASE("texts that are no next hop") {
    std::string text =
        GENERATE(as<std::string>(), "", ":25", "host:", "host:0", "host:65536", "host:25x", "[1.2.3.4",
                 "[1.2.3]", "[1.2.3.4]x", "[1.2.3.4]:", "[mail.test]", "a b", "a..b");
    CAPTURE(text);
    CHECK_FALSE(parse_destination(text));
}

}  // namespace
}  // namespace postrider::remote_delivery
