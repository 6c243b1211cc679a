#include "remote-delivery/preference.h"

#include <catch2/catch.hpp>

namespace postrider::remote_delivery {
namespace {

config::IpAddress address(const char* text) {
    return *config::IpAddress::parse(text);
}

TEST_CASE("address families take turns") {
    Random random(1);
    auto mixed = interleave({address("192.0.2.1"), address("192.0.2.2"), address("192.0.2.3")},
                            {address("2001:db8::1")}, random);
    REQUIRE(mixed.size() == 4);
    CHECK(mixed[0].is_v4());
    CHECK(mixed[1].is_v6());
    CHECK(mixed[2].is_v4());
    CHECK(mixed[3].is_v4());
}

}  // namespace
}  // namespace postrider::remote_delivery
