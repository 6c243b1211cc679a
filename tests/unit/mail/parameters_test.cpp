#include "libcommon/mail/parameters.h"

#include <catch2/catch.hpp>

using namespace postrider::mail;

TEST_CASE("parameters are parsed in order") {
    const auto parameters =
        parse_parameters("size=100  Body=8BITMIME SMTPUTF8 AUTH=<> ORCPT=rfc822;Bob+40x.test");
    REQUIRE(parameters.has_value());
    const std::vector<Parameter> expected = {
        {"SIZE", "100"},
        {"BODY", "8BITMIME"},
        {"SMTPUTF8", std::nullopt},
        {"AUTH", "<>"},
        {"ORCPT", "rfc822;Bob+40x.test"},
    };
    CHECK(std::vector<Parameter>(parameters->begin(), parameters->end()) == expected);
    REQUIRE(parameters->find("SIZE") != nullptr);
    CHECK(parameters->find("SIZE")->value == "100");
    CHECK(parameters->find("ENVID") == nullptr);
}

TEST_CASE("no parameters are no error") {
    CHECK(parse_parameters("")->empty());
    CHECK(parse_parameters("  \t ")->empty());
    CHECK(parse_parameters(" X-1=a ")->size() == 1);
    CHECK(parse_parameters("ORCPT=utf-8;jürgen@a.test")->size() == 1);
}

TEST_CASE("malformed parameters are refused") {
    using namespace std::string_literals;
    std::string many;
    for (int index = 0; index < 33; ++index)
        many += "K" + std::to_string(index) + " ";
    const std::vector<std::string> cases = {
        "=",
        "=5",
        "SIZE=",
        "SIZE=5=6",
        "SIZE==5",
        "SI_ZE=5",
        "-SIZE=5",
        "SIZE =5",
        "SIZE= 5",
        "<a@b.test>",
        "Ü=1",
        "SIZE=5 size=6",
        "SMTPUTF8 SMTPUTF8",
        "A=1\0"s,
        "A=\x01",
        "A=1\rB=2",
        "A=1\nB",
        "A=\xff",
        "A\0=1"s,
        many,
    };
    for (const std::string& text : cases) {
        CAPTURE(text);
        const auto parameters = parse_parameters(text);
        REQUIRE_FALSE(parameters.has_value());
        CHECK_FALSE(parameters.error().temporary());
    }
}

TEST_CASE("xtext is decoded") {
    struct Case {
        std::string encoded;
        std::string text;
    };
    const std::vector<Case> cases = {
        {"", ""},         {"QQ+3D1", "QQ=1"}, {"rfc822;Bob+40x.test", "rfc822;Bob@x.test"},
        {"a+2Bb", "a+b"}, {"a+2bb", "a+b"},   {"+20", " "},
        {"<>", "<>"},     {"+C3+BC", "ü"},
    };
    for (const Case& c : cases) {
        CAPTURE(c.encoded);
        REQUIRE(decode_xtext(c.encoded).has_value());
        CHECK(*decode_xtext(c.encoded) == c.text);
    }
}

TEST_CASE("an address in UTF-8 is written in ASCII and read back") {
    struct Case {
        const char* address;
        const char* encoded;
    };
    for (const Case& c : {Case{"u@x.test", "u@x.test"}, Case{"j\xc3\xb6rg@x.test", "j\\x{F6}rg@x.test"},
                          Case{"a+b=c\\d@x.test", "a\\x{2B}b\\x{3D}c\\x{5C}d@x.test"},
                          Case{"\"a b\"@\xe6\x97\xa5.test", "\"a\\x{20}b\"@\\x{65E5}.test"},
                          Case{"\xf0\x9f\x93\xa7@x.test", "\\x{1F4E7}@x.test"}}) {
        CHECK(encode_utf8_address(c.address) == c.encoded);
        REQUIRE(decode_utf8_address(c.encoded));
        CHECK(*decode_utf8_address(c.encoded) == c.address);
        CHECK(*decode_utf8_address(std::string("\xc3\xa4") + c.encoded) ==
              std::string("\xc3\xa4") + c.address);
    }
    CHECK(encode_utf8_address("a\xff\x1b@x") == "a??@x");
    for (const char* wrong : {"\\", "\\x", "\\x{}", "\\x{41", "\\x{4Z}", "\\x{D800}", "\\x{110000}",
                              "\\x{1234567}", "\\x{0A}", "\\x{9B}", "\\u{41}", "a\xff"}) {
        INFO(wrong);
        CHECK_FALSE(decode_utf8_address(wrong));
    }
}

TEST_CASE("malformed and dangerous xtext is refused") {
    using namespace std::string_literals;
    const std::vector<std::string> cases = {
        "a+00b", "a+0Ab", "a+0D", "+7F",  "+1b", "+",    "+4",  "+4G",
        "+G4",   "a=b",   "a b",  "a\tb", "\0"s, "a\nb", "+ 4",
    };
    for (const std::string& encoded : cases) {
        CAPTURE(encoded);
        CHECK_FALSE(decode_xtext(encoded).has_value());
    }
}

TEST_CASE("every octet survives encoding, and only controls are refused on the way back") {
    for (int octet = 0; octet < 256; ++octet) {
        const std::string text = {'a', static_cast<char>(octet), 'b'};
        const std::string encoded = encode_xtext(text);
        CAPTURE(octet, encoded);
        const bool control = octet < 0x20 || octet == 0x7f;
        const auto decoded = decode_xtext(encoded);
        REQUIRE(decoded.has_value() == !control);
        if (decoded) CHECK(*decoded == text);
        CHECK(encoded.find_first_not_of("+ab0123456789ABCDEF" + text) == std::string::npos);
    }
    CHECK(encode_xtext("Bob+x@y.test") == "Bob+2Bx@y.test");
    CHECK(encode_xtext("a=b c\xff") == "a+3Db+20c+FF");
}
