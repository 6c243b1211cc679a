#include "libcommon/config/values.h"

#include <catch2/catch.hpp>

namespace postrider::config {

TEST_CASE("durations", "[values]") {
    struct Case {
        std::string_view text;
        long long seconds;  // -1: an error
        std::string_view written;
    };
    const Case cases[] = {
        {"90s", 90, "90s"},
        {"15m", 900, "15m"},
        {"2h", 7200, "2h"},
        {"5d", 432000, "5d"},
        {"120s", 120, "2m"},
        {"0", 0, "0"},
        {"0s", 0, "0"},
        {"", -1, ""},
        {"5", -1, ""},
        {"s", -1, ""},
        {"-5s", -1, ""},
        {"+5s", -1, ""},
        {"5 s", -1, ""},
        {"5w", -1, ""},
        {"5S", -1, ""},
        {"1.5h", -1, ""},
        {"1h30m", -1, ""},
        {"99999999999999999999d", -1, ""},
        {"106751991168d", -1, ""},
    };
    for (const auto& c : cases) {
        INFO(c.text);
        auto value = parse_duration(c.text);
        CHECK(value.has_value() == (c.seconds >= 0));
        if (!value) continue;
        CHECK(*value == Milliseconds(c.seconds * 1000));
        CHECK(format_duration(*value) == c.written);
    }
    CHECK(parse_duration("5 min").error().text == "\"5 min\" is not a duration such as 90s, 15m, 2h or 5d");
}

TEST_CASE("lists of durations", "[values]") {
    auto values = parse_durations("5m,15m,1h");
    REQUIRE(values);
    CHECK(format_durations(*values) == "5m,15m,1h");
    for (std::string_view text : {"", "5m,", ",5m", "5m,,1h", "0,5m", "5m 1h"}) {
        INFO(text);
        CHECK_FALSE(parse_durations(text));
    }
}

TEST_CASE("sizes", "[values]") {
    struct Case {
        std::string_view text;
        long long bytes;  // -1: an error
        std::string_view written;
    };
    const Case cases[] = {
        {"0", 0, "0"},
        {"512", 512, "512"},
        {"64k", 65536, "64k"},
        {"64K", 65536, "64k"},
        {"30M", 31457280, "30M"},
        {"30m", 31457280, "30M"},
        {"1G", 1073741824, "1G"},
        {"2T", 2199023255552, "2T"},
        {"1024k", 1048576, "1M"},
        {"", -1, ""},
        {"k", -1, ""},
        {"-1", -1, ""},
        {"1.5M", -1, ""},
        {"1MB", -1, ""},
        {"8388608T", -1, ""},
        {"18446744073709551616", -1, ""},
    };
    for (const auto& c : cases) {
        INFO(c.text);
        auto value = parse_size(c.text);
        CHECK(value.has_value() == (c.bytes >= 0));
        if (!value) continue;
        CHECK(*value == static_cast<std::uint64_t>(c.bytes));
        CHECK(format_size(*value) == c.written);
    }
}

TEST_CASE("counts, percentages, booleans and rates", "[values]") {
    CHECK(parse_count("100").value() == 100);
    for (std::string_view text : {"", "-1", "1k", "0x10", " 1"})
        CHECK_FALSE(parse_count(text));
    CHECK(parse_percentage("5%").value() == 5);
    CHECK(parse_percentage("100%").value() == 100);
    for (std::string_view text : {"5", "101%", "%", "-1%", "5%%"})
        CHECK_FALSE(parse_percentage(text));
    CHECK(parse_boolean("yes").value());
    CHECK_FALSE(parse_boolean("no").value());
    for (std::string_view text : {"", "true", "Yes", "1"})
        CHECK_FALSE(parse_boolean(text));
    auto rate = parse_rate("300/1h");
    REQUIRE(rate);
    CHECK(rate->count == 300);
    CHECK(rate->period == std::chrono::hours(1));
    for (std::string_view text : {"", "300", "300/", "/1h", "300/0", "300/h", "-1/1h"})
        CHECK_FALSE(parse_rate(text));
}

TEST_CASE("free floors", "[values]") {
    constexpr std::uint64_t kHuge = ~std::uint64_t{0};
    CHECK(FreeFloor{5, 0}.satisfied(5000, 100000));
    CHECK_FALSE(FreeFloor{5, 0}.satisfied(4999, 100000));
    CHECK_FALSE(FreeFloor{5, 6000}.satisfied(5500, 100000));
    CHECK(FreeFloor{0, 0}.satisfied(0, 0));
    CHECK_FALSE(FreeFloor{100, 0}.satisfied(kHuge / 2, kHuge));
}

TEST_CASE("host names", "[values]") {
    CHECK(parse_host_name("MX.Example.ORG").value() == "mx.example.org");
    CHECK(parse_host_name("a-1.b2").has_value());
    const std::string label(63, 'a');
    CHECK(parse_host_name(label + ".b").has_value());
    for (const std::string& text :
         {std::string(), std::string("mx"), std::string("mx."), std::string(".mx"), std::string("a..b"),
          std::string("-a.b"), std::string("a-.b"), std::string("a.b-"), std::string("a_b.c"),
          std::string("a b.c"), std::string("[192.0.2.1]"), label + "a.b",
          label + "." + label + "." + label + "." + label + ".b"}) {
        INFO(text);
        CHECK_FALSE(parse_host_name(text));
    }
    CHECK(parse_host_name("mx").error().text == "\"mx\" is not a host name: it must contain a dot");
}

}  // namespace postrider::config
