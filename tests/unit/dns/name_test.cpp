#include "libcommon/dns/name.h"

#include <catch2/catch.hpp>

namespace postrider::dns {
namespace {

TEST_CASE("names in canonical form") {
    auto [text, expected] = GENERATE(table<std::string, std::string>({
        {"example.org", "example.org"},
        {"Example.ORG.", "example.org"},
        {"_dmarc.example.org", "_dmarc.example.org"},
        {"0/25.2.0.192.in-addr.arpa", "0/25.2.0.192.in-addr.arpa"},
        {"localhost", "localhost"},
        {"", ""},
        {".", ""},
        {std::string(63, 'a') + ".test", std::string(63, 'a') + ".test"},
    }));
    auto name = canonical_name(text);
    REQUIRE(name);
    CHECK(*name == expected);
}

TEST_CASE("texts that are no names") {
    std::string text = GENERATE(as<std::string>(), "..", "a..b", ".a", "a b", "a\tb", "a\\b", "\xc3\xa4",
                                "a*b", std::string(64, 'a'), std::string(254, '.'));
    CHECK_FALSE(canonical_name(text));
}

}  // namespace
}  // namespace postrider::dns
