#include "libcommon/mail/utf8.h"

#include <catch2/catch.hpp>

using namespace postrider::mail;
using namespace std::string_literals;

TEST_CASE("text is checked and made printable") {
    struct Case {
        std::string text;
        std::string printable;
    };
    const std::vector<Case> cases = {
        {"", ""},
        {"plain", "plain"},
        {"grün €𝄞", "grün €𝄞"},
        {"a\tb", "a b"},
        {"a\r\nb", "a??b"},
        {"a\0b"s, "a?b"},
        {"\x7f", "?"},
        {"\xff", "?"},
        {"\xc3", "?"},
        {"\xc2\x85x", "??x"},
        {"\xe2\x82", "??"},
        {"\xed\xa0\x80", "???"},
        {"\xc0\xaf", "??"},
        {"\xf4\x90\x80\x80", "????"},
    };
    for (const Case& c : cases) {
        CAPTURE(c.text);
        CHECK(make_printable(c.text) == c.printable);
        CHECK(is_printable_utf8(c.text) == (c.text == c.printable));
        CHECK(is_printable_utf8(make_printable(c.text)));
    }
}

TEST_CASE("text is cut between characters") {
    CHECK(utf8_cut("abc", 5) == 3);
    CHECK(utf8_cut("abc", 2) == 2);
    CHECK(utf8_cut("aü", 2) == 1);
    CHECK(utf8_cut("a€b", 3) == 1);
    CHECK(utf8_cut("a€b", 4) == 4);
    CHECK(utf8_cut("\x80\x80\x80\x80\x80\x80", 5) == 5);
    CHECK(utf8_cut("ü", 1) == 1);
}
