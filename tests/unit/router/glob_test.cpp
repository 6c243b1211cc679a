#include "router/glob.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace postrider::router {

TEST_CASE("what a pattern matches", "[glob]") {
    struct Case {
        std::string pattern;
        std::string text;
        bool matches;
    };
    const std::vector<Case> cases = {
        {"friend", "friend", true},
        {"friend", "FRIEND", true},
        {"FrIeNd", "friend", true},
        {"friend", "friends", false},
        {"friend", "a.friend", false},
        {"*", "", true},
        {"*", "anything at all", true},
        {"*.dyn.test", "a.dyn.test", true},
        {"*.dyn.test", "a.b.DYN.test", true},
        {"*.dyn.test", "dyn.test", false},
        {"*.dyn.test", "a.dyn.test.org", false},
        {"a*b*c", "a-b-b-c", true},
        {"a*b*c", "a-c-b", false},
        {"**a", "bba", true},
        {"?", "x", true},
        {"?", "", false},
        {"h?st-[0-9]", "host-7", true},
        {"h?st-[0-9]", "host-x", false},
        {"[!a-c]x", "dx", true},
        {"[!a-c]x", "Bx", false},
        {"[]]", "]", true},
        {"[a-]", "-", true},
        {"\\[192.0.2.1]", "[192.0.2.1]", true},
        {"\\*", "*", true},
        {"\\*", "x", false},
    };
    for (const Case& one : cases) {
        CAPTURE(one.pattern, one.text);
        const Result<Glob> glob = Glob::parse(one.pattern);
        REQUIRE(glob);
        CHECK(glob->matches(one.text) == one.matches);
    }
}

TEST_CASE("patterns that are none", "[glob]") {
    for (const char* pattern : {"", "[", "[a", "[!", "[z-a]", "a\\"}) {
        CAPTURE(pattern);
        CHECK_FALSE(Glob::parse(pattern));
    }
}

TEST_CASE("a pattern of many stars stays fast on a text made for it", "[glob]") {
    std::string pattern;
    for (int i = 0; i < 100; ++i)
        pattern += "*a";
    CHECK_FALSE(Glob::parse(pattern + "b")->matches(std::string(2000, 'a')));
    CHECK(Glob::parse("a*b?")->literals() == 2);
    CHECK(Glob::parse("ab")->is_literal());
    CHECK_FALSE(Glob::parse("a?")->is_literal());
}

}  // namespace postrider::router
