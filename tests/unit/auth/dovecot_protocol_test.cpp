#include "smtpd/auth/dovecot_protocol.h"

#include <catch2/catch.hpp>

#include <string>

namespace postrider::auth {

TEST_CASE("lines of a Dovecot") {
    using Kind = DovecotLine::Kind;
    struct Case {
        std::string line;
        Kind kind;
        std::uint32_t id;
        bool temporary;
        std::string text;
    };
    const Case cases[] = {
        {"VERSION\t1\t2", Kind::Version, 1, false, ""},
        {"MECH\tPLAIN\tplaintext", Kind::Mech, 0, false, "PLAIN"},
        {"SPID\t12", Kind::Other, 0, false, ""},
        {"COOKIE\tabc", Kind::Other, 0, false, ""},
        {"DONE", Kind::Done, 0, false, ""},
        {"FUTURE\t1\t2", Kind::Other, 0, false, ""},
        {"OK\t1\tuser=joe", Kind::Ok, 1, false, "joe"},
        {"OK\t4294967295\tx=y\tuser=j\001te\001n\0011", Kind::Ok, 4294967295U, false, "j\te\n\001"},
        {"OK\t7", Kind::Ok, 7, false, ""},
        {"FAIL\t2\tuser=joe", Kind::Fail, 2, false, ""},
        {"FAIL\t2\tuser=joe\ttemp", Kind::Fail, 2, true, ""},
        {"FAIL\t2\tcode=temp_fail", Kind::Fail, 2, true, ""},
        {"FAIL\t2\treason=go\001naway", Kind::Fail, 2, false, "go?away"},
        {"CONT\t3\tabcd", Kind::Cont, 3, false, ""},
    };
    for (const Case& c : cases) {
        INFO(c.line);
        const auto line = parse_dovecot_line(c.line);
        REQUIRE(line.has_value());
        CHECK(line->kind == c.kind);
        CHECK(line->id == c.id);
        CHECK(line->temporary == c.temporary);
        CHECK(line->text == c.text);
    }
    for (const std::string line : {"", "OK", "OK\t", "OK\tx", "OK\t-1", "OK\t4294967296", "FAIL\t1x", "CONT",
                                   "VERSION", "VERSION\t1", "VERSION\tx\t1", "MECH"}) {
        INFO(line);
        CHECK_FALSE(parse_dovecot_line(line).has_value());
    }
    CHECK_FALSE(parse_dovecot_line("OK\t1\tuser=" + std::string(kMaxDovecotLine, 'x')).has_value());
}

TEST_CASE("what is sent to a Dovecot") {
    CHECK(dovecot_greeting(77) == "VERSION\t1\t1\nCPID\t77\n");
    Credentials credentials;
    credentials.login = "joe";
    credentials.password = Secret("secret");
    credentials.client_address = "192.0.2.1";
    CHECK(dovecot_request(5, credentials).view() ==
          "AUTH\t5\tPLAIN\tservice=smtp\tnologin\tno-penalty\trip=192.0.2.1\tresp=AGpvZQBzZWNyZXQ=\n");
    credentials.tls = true;
    CHECK(dovecot_request(6, credentials)
              .view()
              .starts_with("AUTH\t6\tPLAIN\tservice=smtp\tsecured\tnologin\t"));
}

}  // namespace postrider::auth
