#include "libcommon/mail/command.h"

#include <catch2/catch.hpp>

#include <optional>

using namespace postrider::mail;

TEST_CASE("command lines are cut into verb and argument") {
    struct Case {
        std::string line;
        Verb verb;
        std::string argument;
    };
    const std::vector<Case> cases = {
        {"QUIT", Verb::Quit, ""},
        {"quit", Verb::Quit, ""},
        {"QuIt  \t", Verb::Quit, ""},
        {"EHLO mx.example.org", Verb::Ehlo, "mx.example.org"},
        {"HELO  mx.example.org ", Verb::Helo, "mx.example.org"},
        {"LHLO\tmx", Verb::Lhlo, "mx"},
        {"MAIL From: admin@anything.other.org", Verb::Mail, "From: admin@anything.other.org"},
        {"RCPT To: john.smith@primary.test", Verb::Rcpt, "To: john.smith@primary.test"},
        {"DATA", Verb::Data, ""},
        {"BDAT 100 LAST", Verb::Bdat, "100 LAST"},
        {"RSET junk", Verb::Rset, "junk"},
        {"NOOP", Verb::Noop, ""},
        {"VRFY ü", Verb::Vrfy, "ü"},
        {"EXPN list", Verb::Expn, "list"},
        {"HELP", Verb::Help, ""},
        {"ETRN @example.org", Verb::Etrn, "@example.org"},
        {"STARTTLS", Verb::StartTls, ""},
        {"AUTH PLAIN AGEAYg==", Verb::Auth, "PLAIN AGEAYg=="},
        {"TURN", Verb::Turn, ""},
        {"XCLIENT ADDR=192.0.2.1", Verb::Xclient, "ADDR=192.0.2.1"},
        {"XFORWARD NAME=a", Verb::Xforward, "NAME=a"},
        {"", Verb::Unknown, ""},
        {" QUIT", Verb::Unknown, " QUIT"},
        {"GET / HTTP/1.1", Verb::Unknown, "GET / HTTP/1.1"},
        {"MAILFROM:<a@b.test>", Verb::Unknown, "MAILFROM:<a@b.test>"},
        {"DATA.", Verb::Unknown, "DATA."},
    };
    for (const Case& c : cases) {
        CAPTURE(c.line);
        const auto command = parse_command(c.line, false);
        REQUIRE(command.has_value());
        CHECK(command->verb == c.verb);
        CHECK(command->argument == c.argument);
    }
}

TEST_CASE("control characters in a command are refused") {
    using namespace std::string_literals;
    for (const std::string& line : {"NOOP\0"s, "\0"s, "QU\0IT"s, "NOOP\r"s, "NOOP\rQUIT"s, "NOOP\nQUIT"s,
                                    "NOOP \x7f"s, "NOOP \x1b[2J"s, "EHLO \xff"s, "EHLO \xc2\x85"s}) {
        CAPTURE(line);
        CHECK_FALSE(parse_command(line, false).has_value());
        CHECK_FALSE(parse_command(line, true).has_value());
    }
}

TEST_CASE("strict commands have one space behind the verb") {
    CHECK(parse_command("EHLO a.test", true)->argument == "a.test");
    CHECK(parse_command("QUIT ", true)->verb == Verb::Quit);
    CHECK_FALSE(parse_command("EHLO  a.test", true).has_value());
    CHECK_FALSE(parse_command("EHLO\ta.test", true).has_value());
}

TEST_CASE("FROM: and TO: are taken off") {
    struct Case {
        std::string line;
        bool strict;
        std::optional<std::string> path;
    };
    const std::vector<Case> cases = {
        {"MAIL FROM:<a@b.test>", true, "<a@b.test>"},
        {"mail from:<a@b.test> SIZE=1", true, "<a@b.test> SIZE=1"},
        {"RCPT TO:<a@b.test>", true, "<a@b.test>"},
        {"RCPT To: a@b.test", false, " a@b.test"},
        {"MAIL FROM :<a@b.test>", false, "<a@b.test>"},
        {"MAIL FROM :<a@b.test>", true, std::nullopt},
        {"MAIL FROM:", false, ""},
        {"MAIL", false, std::nullopt},
        {"MAIL FROM", false, std::nullopt},
        {"MAIL FROM<a@b.test>", false, std::nullopt},
        {"MAIL TO:<a@b.test>", false, std::nullopt},
        {"RCPT FROM:<a@b.test>", false, std::nullopt},
        {"MAIL <a@b.test>", false, std::nullopt},
        {"RCPT TOO:<a@b.test>", false, std::nullopt},
    };
    for (const Case& c : cases) {
        CAPTURE(c.line, c.strict);
        const auto path = path_argument(*parse_command(c.line, c.strict), c.strict);
        REQUIRE(path.has_value() == c.path.has_value());
        if (path) CHECK(*path == *c.path);
    }
}

TEST_CASE("verbs have names") {
    CHECK(verb_name(Verb::Mail) == "MAIL");
    CHECK(verb_name(Verb::StartTls) == "STARTTLS");
    CHECK(verb_name(Verb::Unknown) == "UNKNOWN");
}
