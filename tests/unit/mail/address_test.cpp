#include "libcommon/mail/address.h"

#include <catch2/catch.hpp>

using namespace postrider::mail;

TEST_CASE("addresses are parsed to their value and written back") {
    struct Case {
        std::string text;
        std::string local;
        std::string domain;
        std::string written;
    };
    const std::string local_255(255, 'x');
    const std::vector<Case> cases = {
        {"john.smith@primary.test", "john.smith", "primary.test", "john.smith@primary.test"},
        {"Tomy@HOTMAIL.COM.", "Tomy", "hotmail.com", "Tomy@hotmail.com"},
        {"tomy@[192.0.2.60]", "tomy", "[192.0.2.60]", "tomy@[192.0.2.60]"},
        {"u@[IPv6:2001:db8::1]", "u", "[IPv6:2001:db8::1]", "u@[IPv6:2001:db8::1]"},
        {"hotmail.com!tomy@local.test", "hotmail.com!tomy", "local.test", "hotmail.com!tomy@local.test"},
        {"tomy%hotmail.com@local.test", "tomy%hotmail.com", "local.test", "tomy%hotmail.com@local.test"},
        {"a%b@local.test", "a%b", "local.test", "a%b@local.test"},
        // Quotes that are not needed go, those that are needed stay.
        {R"("alice"@a.test)", "alice", "a.test", "alice@a.test"},
        {R"("a.b"@a.test)", "a.b", "a.test", "a.b@a.test"},
        {R"("\a\l"@a.test)", "al", "a.test", "al@a.test"},
        {R"("tomy@hotmail.com"@local.test)", "tomy@hotmail.com", "local.test",
         R"("tomy@hotmail.com"@local.test)"},
        {R"("john doe"@a.test)", "john doe", "a.test", R"("john doe"@a.test)"},
        {R"("q\"uo\\te"@a.test)", R"(q"uo\te)", "a.test", R"("q\"uo\\te"@a.test)"},
        {R"("a..b"@a.test)", "a..b", "a.test", R"("a..b"@a.test)"},
        {R"(".a"@a.test)", ".a", "a.test", R"(".a"@a.test)"},
        {R"("a."@a.test)", "a.", "a.test", R"("a."@a.test)"},
        {R"("<>"@a.test)", "<>", "a.test", R"("<>"@a.test)"},
        {R"(" "@a.test)", " ", "a.test", R"(" "@a.test)"},
        // RFC 3696 section 3 and its errata.
        {R"("Abc\@def"@example.com)", "Abc@def", "example.com", R"("Abc@def"@example.com)"},
        {"customer/department=shipping@example.com", "customer/department=shipping", "example.com",
         "customer/department=shipping@example.com"},
        {"$A12345@example.com", "$A12345", "example.com", "$A12345@example.com"},
        {"!def!xyz%abc@example.com", "!def!xyz%abc", "example.com", "!def!xyz%abc@example.com"},
        {"_somename@example.com", "_somename", "example.com", "_somename@example.com"},
        {"list-owner-bob=b.test@a.test", "list-owner-bob=b.test", "a.test", "list-owner-bob=b.test@a.test"},
        {local_255 + "@a.test", local_255, "a.test", local_255 + "@a.test"},
    };
    for (const Case& c : cases) {
        CAPTURE(c.text);
        const auto mailbox = parse_mailbox(c.text);
        REQUIRE(mailbox.has_value());
        CHECK(mailbox->local() == c.local);
        CHECK(mailbox->domain().name() == c.domain);
        CHECK(mailbox->to_string() == c.written);
        CHECK_FALSE(mailbox->needs_smtputf8());
        CHECK(parse_mailbox(mailbox->to_string()).value() == *mailbox);
    }
}

TEST_CASE("what is no address is refused") {
    using namespace std::string_literals;
    const std::vector<std::string> cases = {
        "",
        "@",
        "alice",
        "@a.test",
        "alice@",
        "a@b@c",
        "tomy@hotmail.com@local.test",
        "a@@b.test",
        "a b@c.test",
        " a@b.test",
        "a@b.test ",
        "<a@b.test>",
        "a@b.test>",
        ".a@b.test",
        "a.@b.test",
        "a..b@b.test",
        ".@b.test",
        R"(""@b.test)",
        R"("a@b.test)",
        R"(a"@b.test)",
        R"("a"b@c.test)",
        R"(a"b"@c.test)",
        R"("a".b@c.test)",
        R"("a\)",
        R"(")",
        R"("a\"@b.test)",
        R"(a\@b@c.test)",
        "a(comment)@b.test",
        "a,b@c.test",
        "a:b@c.test",
        "a;b@c.test",
        "a[b]@c.test",
        "@x.test:a@b.test",
        "Alice <a@b.test>",
        "a@b.test,c@d.test",
        "a\0@b.test"s,
        "a@b\0.test"s,
        "\"a\0b\"@c.test"s,
        "\"a\\\0b\"@c.test"s,
        "a\r\nRCPT TO:<x@y.test>@b.test",
        "\"a\r\nb\"@c.test",
        "\"a\tb\"@c.test",
        "\"a\x7f\"@c.test",
        "a\x01@c.test",
        "\xfc@b.test",
        "\xc2\x85@b.test",
        "\"\xff\"@b.test",
        "\xed\xa0\x80@b.test",
        "\xc0\xaf@b.test",
        std::string(256, 'x') + "@a.test",
        "a@" + std::string(64, 'b') + ".test",
    };
    for (const std::string& text : cases) {
        CAPTURE(text);
        const auto mailbox = parse_mailbox(text);
        REQUIRE_FALSE(mailbox.has_value());
        CHECK_FALSE(mailbox.error().temporary());
    }
}

TEST_CASE("internationalised addresses") {
    const auto mailbox = parse_mailbox("jürgen@münchen.example");
    REQUIRE(mailbox.has_value());
    CHECK(mailbox->local() == "jürgen");
    CHECK(mailbox->needs_smtputf8());
    CHECK(mailbox->to_string() == "jürgen@xn--mnchen-3ya.example");
    CHECK(mailbox->to_utf8_string() == "jürgen@münchen.example");
    // An address whose domain alone is internationalised can be sent without SMTPUTF8.
    CHECK_FALSE(parse_mailbox("info@münchen.example")->needs_smtputf8());
}

TEST_CASE("addresses are compared by key") {
    const auto key = [](std::string_view text, LocalCase local_case) {
        return parse_mailbox(text)->key(local_case);
    };
    CHECK(key("Alice@Example.ORG.", LocalCase::Folded) == "alice@example.org");
    CHECK(key("Alice@Example.ORG.", LocalCase::Exact) == "Alice@example.org");
    CHECK(key(R"("alice"@a.test)", LocalCase::Exact) == "alice@a.test");
    CHECK(key(R"("tomy@hotmail.com"@local.test)", LocalCase::Exact) == "tomy@hotmail.com@local.test");
    CHECK(parse_mailbox("a@B.test").value() == parse_mailbox("a@b.test").value());
    CHECK(parse_mailbox("A@b.test").value() != parse_mailbox("a@b.test").value());
}

TEST_CASE("a mailbox can be put together from its parts") {
    const Domain domain = *parse_domain("a.test");
    CHECK(make_mailbox("john doe", domain)->to_string() == R"("john doe"@a.test)");
    CHECK_FALSE(make_mailbox("", domain).has_value());
    CHECK_FALSE(make_mailbox("a\r\nb", domain).has_value());
}
