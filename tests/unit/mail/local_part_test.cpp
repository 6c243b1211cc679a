#include "libcommon/mail/local_part.h"

#include <catch2/catch.hpp>

#include <optional>

using namespace postrider::mail;

TEST_CASE("case folding is the caller's choice") {
    CHECK(compare_form("Alice", LocalCase::Exact) == "Alice");
    CHECK(compare_form("Alice", LocalCase::Folded) == "alice");
    CHECK(compare_form("JÜRGEN", LocalCase::Folded) == "jürgen");
    CHECK(compare_form("Ju\xcc\x88rgen", LocalCase::Folded) == "jürgen");
    CHECK(compare_form("JÜRGEN", LocalCase::Exact) == "JÜRGEN");
}

TEST_CASE("detail is cut at the first delimiter that leaves a user") {
    struct Case {
        std::string local;
        std::string delimiters;
        std::string user;
        std::optional<std::string> detail;
    };
    const std::vector<Case> cases = {
        {"alice", "+", "alice", std::nullopt},
        {"alice+lists", "+", "alice", "lists"},
        {"alice+", "+", "alice", ""},
        {"alice+a+b", "+", "alice", "a+b"},
        {"+alice", "+", "+alice", std::nullopt},
        {"+alice+x", "+", "+alice", "x"},
        {"alice-x+y", "+-", "alice", "x+y"},
        {"alice+x", "", "alice+x", std::nullopt},
        {"", "+", "", std::nullopt},
    };
    for (const Case& c : cases) {
        CAPTURE(c.local, c.delimiters);
        const SplitLocalPart split = split_detail(c.local, c.delimiters);
        CHECK(split.user == c.user);
        CHECK(split.detail == c.detail);
    }
}

TEST_CASE("only what can be written is the value of a local part") {
    using namespace std::string_literals;
    CHECK(is_local_part_value("john doe"));
    CHECK(is_local_part_value("a@b"));
    CHECK(is_local_part_value("jürgen"));
    CHECK_FALSE(is_local_part_value(""));
    CHECK_FALSE(is_local_part_value("a\nb"));
    CHECK_FALSE(is_local_part_value("a\0b"s));
    CHECK_FALSE(is_local_part_value("\xfc"));
    CHECK_FALSE(is_local_part_value(std::string(256, 'a')));
}
