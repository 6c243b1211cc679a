#include "queue-manager/mime.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>

using namespace postrider::queue_manager;
using namespace std::string_literals;

TEST_CASE("text is what its worst octet is") {
    struct Case {
        std::string text;
        Octets octets;
    };
    for (const auto& test : {
             Case{"", Octets::SevenBit},
             Case{"a\r\nb\r\n", Octets::SevenBit},
             Case{"no end", Octets::SevenBit},
             Case{std::string(998, 'x') + "\r\n", Octets::SevenBit},
             Case{std::string(999, 'x') + "\r\n", Octets::Binary},
             Case{"gr\xfc\xdf\r\n", Octets::EightBit},
             Case{"gr\xfc\xdf\n", Octets::Binary},
             Case{"a\rb\r\n", Octets::Binary},
             Case{"a\nb\r\n", Octets::Binary},
             Case{"a\0b\r\n"s, Octets::Binary},
             Case{"a\r\r\n", Octets::Binary},
         }) {
        CAPTURE(test.text);
        CHECK(octets_of(test.text) == test.octets);
    }
}

TEST_CASE("quoted-printable is ASCII in lines of 76 characters") {
    struct Case {
        std::string text;
        std::string encoded;
    };
    for (const auto& test : {
             Case{"", ""},
             Case{"plain\r\n", "plain\r\n"},
             Case{"a=b\r\n", "a=3Db\r\n"},
             Case{"gr\xc3\xbc\xc3\x9f\r\n\r\nx", "gr=C3=BC=C3=9F\r\n\r\nx"},
             Case{"end \r\n\tx\t\r\nlast ", "end=20\r\n\tx=09\r\nlast=20"},
             Case{"a\rb\nc\0d"s, "a=0Db=0Ac=00d"},
             Case{std::string(80, 'x'), std::string(75, 'x') + "=\r\nxxxxx"},
             Case{std::string(74, 'x') + "\xff", std::string(74, 'x') + "=\r\n=FF"},
         }) {
        CAPTURE(test.text);
        CHECK(quoted_printable(test.text) == test.encoded);
    }
}

TEST_CASE("a subject beyond ASCII is made of encoded words") {
    CHECK(encoded_words("plain = text") == "plain = text");
    CHECK(encoded_words("gr\xc3\xbc\xc3\x9f") == "=?UTF-8?B?Z3LDvMOf?=");
    // The cut after 45 octets would go through a character.
    std::string words = encoded_words(std::string(44, 'y') + "\xc3\xa4" + std::string(30, 'z'));
    std::size_t start = 0;
    std::size_t count = 0;
    while (start < words.size()) {
        std::size_t end = std::min(words.find(' ', start), words.size());
        CHECK(end - start <= 75);
        CHECK(words.substr(start, 10) == "=?UTF-8?B?");
        start = end + 1;
        ++count;
    }
    CHECK(count == 2);
}
