#include "libcommon/config/limits.h"

#include <catch2/catch.hpp>

#include <set>

namespace postrider::config {

TEST_CASE("the table of limits", "[limits]") {
    std::set<std::string_view> names;
    for (const auto& row : limit_table()) {
        INFO(row.name);
        CHECK(names.insert(row.name).second);
        CHECK(row.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos);
        CHECK_FALSE(row.source.empty());
        CHECK(row.doc.ends_with('.'));
        // Every default can be written down and read again.
        CHECK(parse_limit(row, format_limit(row, row.value)).value() == row.value);
        if (row.overload) CHECK(parse_limit(row, format_limit(row, *row.overload)).value() == *row.overload);
        CHECK(limit_row(row.limit).name == row.name);
    }
}

TEST_CASE("defaults are those of the specification", "[limits]") {
    Limits limits;
    struct Case {
        Limit limit;
        std::uint64_t normal;
        std::uint64_t overload;
    };
    const Case cases[] = {
        {Limit::CommandLine, 4096, 4096},
        {Limit::MaxMessageSize, 52428800, 52428800},
        {Limit::MaxRecipients, 1000, 1000},
        {Limit::MaxNullRecipients, 3, 3},
        {Limit::MaxHops, 50, 50},
        {Limit::MaxSelfReceived, 3, 3},
        {Limit::MaxConnections, 2000, 2000},
        {Limit::MaxConnectionsPerClient, 20, 5},
        {Limit::CommandTimeout, 300000, 30000},
        {Limit::CommandTimeoutBeforeRcpt, 300000, 10000},
        {Limit::ErrorsBeforeDrop, 15, 1},
        {Limit::FinalDotTimeout, 600000, 600000},
        {Limit::DsnMaxBody, 51200, 51200},
        {Limit::Lifetime, 432000000, 432000000},
        {Limit::PipeTimeout, 600000, 600000},
    };
    for (const auto& c : cases) {
        INFO(limit_row(c.limit).name);
        CHECK(limits.get(c.limit) == c.normal);
        CHECK(limits.get(c.limit, Load::Overload) == c.overload);
    }
    CHECK(limits.time(Limit::CommandTimeout) == Seconds(300));
    CHECK(limits.size(Limit::CommandLine) == 4096);
}

TEST_CASE("setting limits", "[limits]") {
    Limits limits;
    limits.set(Limit::CommandTimeout, 60000);
    CHECK(limits.time(Limit::CommandTimeout) == Seconds(60));
    CHECK(limits.time(Limit::CommandTimeout, Load::Overload) == Seconds(30));
    // Overload is never laxer than normal times.
    limits.set(Limit::CommandTimeout, 20000);
    CHECK(limits.time(Limit::CommandTimeout, Load::Overload) == Seconds(20));
    limits.set_overload(Limit::CommandTimeout, 5000);
    CHECK(limits.time(Limit::CommandTimeout, Load::Overload) == Seconds(5));
    // A row without a value for overload has the same in both.
    limits.set(Limit::MaxRecipients, 5000);
    CHECK(limits.get(Limit::MaxRecipients, Load::Overload) == 5000);
}

TEST_CASE("values of limits", "[limits]") {
    struct Case {
        Limit limit;
        std::string_view text;
        std::string_view expected;
    };
    const Case cases[] = {
        {Limit::CommandTimeout, "300s", "5m"},
        {Limit::MaxMessageSize, "30M", "30M"},
        {Limit::RetryJitter, "20%", "20%"},
        {Limit::ReceiveMinRate, "1k", "1k"},
        {Limit::MaxHops, "100", "100"},
        {Limit::MaxHops, "9", "max_hops must be from 10 to 1000, not 9"},
        {Limit::FinalDotTimeout, "5m", "final_dot_timeout must be from 10m to 366d, not 5m"},
        {Limit::MaxHops, "1h", "\"1h\" is not a number"},
        {Limit::CommandTimeout, "300", "\"300\" is not a duration such as 90s, 15m, 2h or 5d"},
    };
    for (const auto& c : cases) {
        INFO(c.text);
        const LimitRow& row = limit_row(c.limit);
        auto value = parse_limit(row, c.text);
        CHECK((value ? format_limit(row, *value) : value.error().text) == c.expected);
    }
}

}  // namespace postrider::config
