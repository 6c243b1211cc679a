#include "router/domain_table.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace postrider::router {

TEST_CASE("a pattern names a domain, its sub-domains, both, or every domain") {
    struct Case {
        const char* pattern;
        const char* domain;
        bool matches;
    };
    const std::vector<Case> cases = {
        {"primary.test", "primary.test", true},
        {"primary.test", "a.primary.test", false},
        {"primary.test", "xprimary.test", false},
        {"PRIMARY.Test", "primary.test", true},
        {".primary.test", "primary.test", false},
        {".primary.test", "a.primary.test", true},
        {".primary.test", "a.b.primary.test", true},
        {".primary.test", "xprimary.test", false},
        {"*.primary.test", "primary.test", true},
        {"*.primary.test", "server.primary.test", true},
        {"*.primary.test", "a.b.primary.test", true},
        {"*.primary.test", "xprimary.test", false},
        {"*.primary.test", "test", false},
        {"*.primary.test", "primary.test.example", false},
        {"*", "anything.example", true},
        {"*", "[192.0.2.60]", true},
        {"*.60]", "[192.0.2.60]", false},
        {"bücher.example", "xn--bcher-kva.example", true},
    };
    for (const Case& one : cases) {
        CAPTURE(one.pattern, one.domain);
        DomainTable<int> table;
        const Result<DomainPattern> pattern = DomainPattern::parse(one.pattern);
        if (pattern) CHECK(table.add(*pattern, 1) == nullptr);
        CHECK((table.find(one.domain) != nullptr) == one.matches);
    }
}

TEST_CASE("the most specific pattern wins, whatever the order of the lines") {
    std::vector<std::string> lines = {"*", "*.test", ".b.test", "*.b.test", "a.b.test", "*.a.b.test"};
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"example.org", "*"},        {"test", "*.test"},      {"c.test", "*.test"},
        {"b.test", "*.b.test"},      {"x.b.test", ".b.test"}, {"a.b.test", "a.b.test"},
        {"x.a.b.test", "*.a.b.test"}};
    for (int turn = 0; turn < 2; ++turn) {
        DomainTable<std::string> table;
        for (const std::string& line : lines)
            CHECK(table.add(*DomainPattern::parse(line), line) == nullptr);
        for (const auto& [domain, expected] : cases) {
            CAPTURE(domain);
            REQUIRE(table.find(domain) != nullptr);
            CHECK(*table.find(domain) == expected);
        }
        std::reverse(lines.begin(), lines.end());
    }
}

TEST_CASE("the same pattern twice gives the value of the first") {
    DomainTable<int> table;
    CHECK(table.add(*DomainPattern::parse("*.a.test"), 1) == nullptr);
    const int* earlier = table.add(*DomainPattern::parse("*.A.test"), 2);
    REQUIRE(earlier != nullptr);
    CHECK(*earlier == 1);
    CHECK(table.add(*DomainPattern::parse(".a.test"), 3) == nullptr);
}

TEST_CASE("what is no pattern is refused") {
    for (const char* text :
         {"", ".", "*.", "-bad.test", "a..b", "[192.0.2.1]", "*test", "a b", "..test", "**"}) {
        CAPTURE(text);
        CHECK_FALSE(DomainPattern::parse(text).has_value());
    }
}

}  // namespace postrider::router
