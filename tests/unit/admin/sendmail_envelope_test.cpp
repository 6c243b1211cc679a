#include <catch2/catch.hpp>

#include "admin/sendmail/envelope.h"
#include "admin/sendmail/from_field.h"

using namespace postrider;
using namespace postrider::admin;

namespace {

constexpr Offer kEverything{true, true, true};

}  // namespace

TEST_CASE("an address is completed with the host, and keeps its spelling") {
    struct Case {
        const char* given;
        const char* taken;
    };
    const Case cases[] = {
        {"fred", "fred@host.test"},
        {"Fred@Local.Test", "Fred@Local.Test"},
        {"postmaster", "postmaster@host.test"},
        {"\"odd local\"@b.test", "\"odd local\"@b.test"},
        {"\"a>b\"@b.test", "\"a>b\"@b.test"},
        {"-odd@b.test", "-odd@b.test"},
        {"jürgen@bücher.test", "jürgen@bücher.test"},
        {"a@[192.0.2.1]", "a@[192.0.2.1]"},
    };
    for (const auto& each : cases) {
        CAPTURE(each.given);
        auto address = envelope_address(each.given, "host.test");
        REQUIRE(address.has_value());
        CHECK(*address == each.taken);
    }
}

TEST_CASE("what is more or less than one address is none") {
    const std::vector<std::string> cases = {
        "",
        "a b@c.test",
        "a@b.test> SIZE=1",
        "a@b.test> NOTIFY=NEVER <",
        "a@b.test>",
        "<a@b.test>",
        "a@b.test\nRCPT TO:<evil@b.test>",
        "a@b.test\r\nDATA",
        "a@b.test\r",
        std::string("a\0b@c.test", 10),
        "a\x1b[2J@c.test",
        "a\x7f@c.test",
        "a@b..test",
        "@b.test",
        "a@",
        "\xff@c.test",
        "\"a\nb\"@c.test",
        std::string(100'000, 'a') + "@b.test",
        "a@" + std::string(100'000, 'b'),
        "\xc2\x85@c.test",
    };
    for (const auto& each : cases) {
        CAPTURE(each.substr(0, 80));
        auto address = envelope_address(each, "host.test");
        REQUIRE_FALSE(address.has_value());
        CHECK(address.error().text.size() < 300);
        CHECK(address.error().text.find_first_of("\r\n\x1b") == std::string::npos);
    }
}

TEST_CASE("what a server offers") {
    struct Case {
        const char* reply;
        Offer offer;
    };
    const Case cases[] = {
        {"mx.test\nPIPELINING\nSIZE 10\n8BITMIME\nSMTPUTF8\nDSN", kEverything},
        {"mx.test", {false, false, false}},
        {"", {false, false, false}},
        {"mx.test\nAUTH DSN\ndsn", {true, false, false}},
        {"DSN.test\nAUTH DSN 8BITMIME", {false, false, false}},
        {"mx.test\n8bitmime\n", {false, true, false}},
    };
    for (const auto& each : cases) {
        CAPTURE(each.reply);
        const Offer offer = read_offer(each.reply);
        CHECK(offer.dsn == each.offer.dsn);
        CHECK(offer.eight_bit == each.offer.eight_bit);
        CHECK(offer.utf8 == each.offer.utf8);
    }
}

TEST_CASE("MAIL and RCPT with what the server offers") {
    struct Case {
        Envelope envelope;
        bool eight_bit;
        Offer offer;
        const char* mail;
        const char* rcpt;
    };
    const DsnRequest dsn{"SUCCESS,DELAY", "HDRS", "id+2B1"};
    const std::vector<Case> cases = {
        {{"a@x", {"b@y"}, {}}, false, kEverything, "MAIL FROM:<a@x>", "RCPT TO:<b@y>"},
        {{"", {"b@y"}, {}}, true, kEverything, "MAIL FROM:<> BODY=8BITMIME", "RCPT TO:<b@y>"},
        {{"a@x", {"b@y"}, dsn},
         false,
         kEverything,
         "MAIL FROM:<a@x> RET=HDRS ENVID=id+2B1",
         "RCPT TO:<b@y> NOTIFY=SUCCESS,DELAY"},
        {{"a@x", {"b@y"}, dsn}, false, {false, true, true}, "MAIL FROM:<a@x>", "RCPT TO:<b@y>"},
        {{"a@x", {"ü@y"}, {}}, false, kEverything, "MAIL FROM:<a@x> SMTPUTF8", "RCPT TO:<ü@y>"},
        {{"ü@x", {"b@y"}, {}}, true, kEverything, "MAIL FROM:<ü@x> BODY=8BITMIME SMTPUTF8", "RCPT TO:<b@y>"},
        {{"a@x", {"b@y"}, {}}, false, {}, "MAIL FROM:<a@x>", "RCPT TO:<b@y>"},
    };
    for (const Case& each : cases) {
        CAPTURE(each.mail);
        auto command = mail_command(each.envelope, each.eight_bit, each.offer);
        REQUIRE(command.has_value());
        CHECK(*command == each.mail);
        CHECK(rcpt_command(each.envelope.recipients.front(), each.envelope.dsn, each.offer) == each.rcpt);
    }
}

TEST_CASE("a message that the server cannot take is refused by the name of what is missing") {
    const auto no_utf8 = mail_command({"ü@x", {"b@y"}, {}}, false, {true, true, false});
    REQUIRE_FALSE(no_utf8.has_value());
    CHECK(no_utf8.error().text.find("SMTPUTF8") != std::string::npos);
    const auto no_eight_bit = mail_command({"a@x", {"b@y"}, {}}, true, {true, false, true});
    REQUIRE_FALSE(no_eight_bit.has_value());
    CHECK(no_eight_bit.error().text.find("8BITMIME") != std::string::npos);
    CHECK_FALSE(no_eight_bit.error().temporary());
}

TEST_CASE("the From field of a message without one") {
    struct Case {
        const char* name;
        const char* field;
    };
    const Case cases[] = {
        {"", "a@b"},
        {"Fred Flint", "\"Fred Flint\" <a@b>"},
        {"Fred \"Jr\" \\", "\"Fred \\\"Jr\\\" \\\\\" <a@b>"},
        {"Fred\r\nBcc: x@y", "\"FredBcc: x@y\" <a@b>"},
        {"\n\x7f", "a@b"},
        {"Jürgen", "=?utf-8?B?SsO8cmdlbg==?= <a@b>"},
        {"üüüüüüüüüüüüüüüüüüüüüüüü",
         "=?utf-8?B?w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7w=?=\n "
         "=?utf-8?B?w7zDvA==?= <a@b>"},
    };
    for (const auto& each : cases) {
        CAPTURE(each.name);
        CHECK(from_field(each.name, "a@b") == each.field);
    }
}
