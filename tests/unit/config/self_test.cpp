#include "libcommon/config/self.h"

#include <catch2/catch.hpp>

namespace postrider::config {
namespace {

TEST_CASE("addresses that are this host") {
    Self self("mx.test", {*IpAddress::parse("192.0.2.10"), *IpAddress::parse("2001:db8::10")});
    auto [text, expected] = GENERATE(table<std::string, bool>({
        {"192.0.2.10", true},
        {"192.0.2.11", false},
        {"2001:db8::10", true},
        {"2001:db8::11", false},
        {"127.0.0.1", true},
        {"127.1.2.3", true},
        {"0.0.0.0", true},
        {"0.1.2.3", true},
        {"::1", true},
        {"::", true},
        {"::ffff:127.0.0.1", true},
        {"::ffff:192.0.2.10", true},
        {"10.0.0.1", false},
    }));
    CAPTURE(text);
    CHECK(self.is_us(*IpAddress::parse(text)) == expected);
}

TEST_CASE("the name of this host") {
    Self self("mx.test", {});
    CHECK(self.is_us(std::string_view("mx.test")));
    CHECK_FALSE(self.is_us(std::string_view("mx2.test")));
    CHECK_FALSE(self.is_us(std::string_view("")));
}

TEST_CASE("the interfaces of this host are found") {
    Settings settings;
    settings.hostname = "mx.test";
    settings.self_addresses = {*IpAddress::parse("198.51.100.10")};
    auto self = describe_self(settings);
    REQUIRE(self);
    CHECK(self->is_us(*IpAddress::parse("198.51.100.10")));
    CHECK(self->hostname() == "mx.test");
}

}  // namespace
}  // namespace postrider::config
