#include "libcommon/mail/domain.h"

#include <catch2/catch.hpp>

#include <unordered_set>

using postrider::mail::Domain;
using postrider::mail::parse_domain;

namespace {

std::string label(std::size_t size) {
    return std::string(size, 'a');
}

/// Three labels of 63 octets and one of `last`, with their dots: 192 + `last` octets.
std::string long_name(std::size_t last) {
    return label(63) + "." + label(63) + "." + label(63) + "." + label(last);
}

}  // namespace

TEST_CASE("domain names are stored in their canonical form") {
    struct Case {
        std::string text;
        std::string name;
    };
    const std::vector<Case> cases = {
        {"example.org", "example.org"},
        {"Example.ORG", "example.org"},
        {"HOTMAIL.COM.", "hotmail.com"},
        {"localhost", "localhost"},
        {"a", "a"},
        {"3com.com", "3com.com"},
        {"1.2.3.4.example", "1.2.3.4.example"},
        {"my_host.example.org", "my_host.example.org"},
        {"r3---sn.example.org", "r3---sn.example.org"},
        {"xn--mnchen-3ya.example", "xn--mnchen-3ya.example"},
        {long_name(63), long_name(63)},
    };
    for (const Case& c : cases) {
        CAPTURE(c.text);
        const auto domain = parse_domain(c.text);
        REQUIRE(domain.has_value());
        CHECK(domain->name() == c.name);
        CHECK(domain->utf8_name() == c.name);
        CHECK_FALSE(domain->was_utf8());
        CHECK(domain->kind() == Domain::Kind::Name);
        CHECK(domain->address().empty());
    }
}

TEST_CASE("what is no domain is refused") {
    using namespace std::string_literals;
    const std::vector<std::string> cases = {
        "",
        ".",
        "..",
        ".example.org",
        "example..org",
        "example.org..",
        "-a.example",
        "a-.example",
        "a b.example",
        "a@b.example",
        "a,b",
        "a:b",
        "a/b.example",
        "a\tb",
        "a\nb",
        "example.org\0"s,
        "\0"s,
        "a\x7f.example",
        label(64) + ".example",
        long_name(63) + ".a",
        "1.2.3.4",
        "999",
        "example.123",
        "192.0.2.1.",
        "<a.example>",
        "[",
        "]",
        "[]",
        "[1.2.3.4",
        "1.2.3.4]",
        "[1.2.3]",
        "[1.2.3.4.5]",
        "[1.2.3.256]",
        "[1.2.3.4]x",
        "[01.2.3.4]",
        "[1.2.3.4\0]"s,
        "[ 1.2.3.4]",
        "[IPv6:]",
        "[IPv6:1.2.3.4]",
        "[IPv6:1::2::3]",
        "[IPv6:fe80::1%eth0]",
        "[2001:db8::1]",
        "[IPv6:2001:db8::1\0]"s,
        "[x-tag:content]",
        "[1.2.3.4].example",
        "[example.org]",
        // Not UTF-8, or characters that become ASCII punctuation when normalised.
        "m\xfcnchen.example",
        "\xc3.example",
        "\xc2\x85.example",
        "a\xef\xbc\xa0.b.example",
        "\xe2\x84\x80.example",
        "\xef\xbc\x91.\xef\xbc\x92.\xef\xbc\x93.\xef\xbc\x94",
        std::string(1200, 'a') + "\xc3\xbc",
    };
    for (const std::string& text : cases) {
        CAPTURE(text);
        const auto domain = parse_domain(text);
        REQUIRE_FALSE(domain.has_value());
        CHECK_FALSE(domain.error().temporary());
        CHECK_FALSE(domain.error().text.empty());
    }
}

TEST_CASE("internationalised domains become A-labels and keep a UTF-8 form") {
    struct Case {
        std::string text;
        std::string name;
        std::string utf8_name;
    };
    const std::vector<Case> cases = {
        {"münchen.example", "xn--mnchen-3ya.example", "münchen.example"},
        {"MÜNCHEN.Example.", "xn--mnchen-3ya.example", "münchen.example"},
        {"mu\xcc\x88nchen.example", "xn--mnchen-3ya.example", "münchen.example"},
        // Nontransitional: the sharp s stays itself and does not become ss.
        {"straße.example", "xn--strae-oqa.example", "straße.example"},
        {"例え。テスト", "xn--r8jz45g.xn--zckzah", "例え.テスト"},
    };
    for (const Case& c : cases) {
        CAPTURE(c.text);
        const auto domain = parse_domain(c.text);
        REQUIRE(domain.has_value());
        CHECK(domain->name() == c.name);
        CHECK(domain->utf8_name() == c.utf8_name);
        CHECK(domain->was_utf8());
    }
    CHECK(parse_domain("münchen.example").value() == parse_domain("XN--MNCHEN-3YA.example").value());
}

TEST_CASE("address literals are stored in the shortest notation") {
    struct Case {
        std::string text;
        std::string name;
        std::string address;
    };
    const std::vector<Case> cases = {
        {"[192.0.2.60]", "[192.0.2.60]", "192.0.2.60"},
        {"[IPv6:2001:DB8:0:0:0:0:0:1]", "[IPv6:2001:db8::1]", "2001:db8::1"},
        {"[ipv6:::1]", "[IPv6:::1]", "::1"},
        {"[IPv6:::ffff:127.0.0.1]", "[127.0.0.1]", "127.0.0.1"},
        {"[IPv6:::FFFF:7f00:1]", "[127.0.0.1]", "127.0.0.1"},
    };
    for (const Case& c : cases) {
        CAPTURE(c.text);
        const auto domain = parse_domain(c.text);
        REQUIRE(domain.has_value());
        CHECK(domain->kind() == Domain::Kind::AddressLiteral);
        CHECK(domain->is_literal());
        CHECK(domain->name() == c.name);
        CHECK(domain->address() == c.address);
    }
}

TEST_CASE("a domain is within another at label boundaries only") {
    struct Case {
        std::string below;
        std::string ancestor;
        bool within;
    };
    const std::vector<Case> cases = {
        {"primary.test", "primary.test", true},        {"PRIMARY.Test", "primary.test", true},
        {"server.primary.test", "primary.test", true}, {"a.b.primary.test", "primary.test", true},
        {"xprimary.test", "primary.test", false},      {"test", "primary.test", false},
        {"primary.test", "a.primary.test", false},     {"primary.test.evil.example", "primary.test", false},
        {"[192.0.2.1]", "[192.0.2.1]", true},          {"[192.0.2.1]", "[192.0.2.2]", false},
    };
    for (const Case& c : cases) {
        CAPTURE(c.below, c.ancestor);
        CHECK(parse_domain(c.below)->is_within(*parse_domain(c.ancestor)) == c.within);
    }
}

TEST_CASE("equal domains have equal hashes and an order") {
    std::unordered_set<Domain> domains;
    domains.insert(*parse_domain("Example.org"));
    domains.insert(*parse_domain("example.ORG."));
    domains.insert(*parse_domain("example.net"));
    CHECK(domains.size() == 2);
    CHECK(*parse_domain("a.example") < *parse_domain("b.example"));
}
