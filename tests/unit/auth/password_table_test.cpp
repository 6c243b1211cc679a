#include "smtpd/auth/password_table.h"

#include <catch2/catch.hpp>
#include <crypt.h>

#include <string>
#include <vector>

namespace postrider::auth {

namespace {

/// A hash of "secret" that takes as little time as its method allows.
std::string hash_of(const char* setting) {
    crypt_data work{};
    const char* text = ::crypt_r("secret", setting, &work);
    REQUIRE(text != nullptr);
    return text;
}

}  // namespace

TEST_CASE("passwords match hashes of every kind") {
    const std::string scram =
        to_text(make_scram_verifier(Secret("secret"), std::string("\0salt\xff", 6), 4096));
    const std::string hashes[] = {hash_of("$y$j75$saltsaltsaltsalt$"),
                                  hash_of("$6$rounds=1000$saltsalt$"),
                                  hash_of("$5$rounds=1000$saltsalt$"),
                                  hash_of("$2b$04$abcdefghijklmnopqrstuu"),
                                  "{CRYPT}" + hash_of("$6$saltsalt$"),
                                  "{SHA512-CRYPT}" + hash_of("$6$saltsalt$"),
                                  "{BLF-CRYPT}" + hash_of("$2y$04$abcdefghijklmnopqrstuu"),
                                  scram};
    for (const std::string& text : hashes) {
        INFO(text);
        const auto hash = parse_password_hash(text);
        REQUIRE(hash.has_value());
        CHECK(matches(*hash, Secret("secret")));
        CHECK_FALSE(matches(*hash, Secret("Secret")));
        CHECK_FALSE(matches(*hash, Secret("secret ")));
        CHECK_FALSE(matches(*hash, Secret("")));
    }
    for (const char* text : {"*", "!", "!$6$saltsalt$x"}) {
        const auto hash = parse_password_hash(text);
        REQUIRE(hash.has_value());
        CHECK_FALSE(matches(*hash, Secret("secret")));
        CHECK_FALSE(matches(*hash, Secret("")));
    }
}

TEST_CASE("a password file is read by its lines") {
    const std::string hash = hash_of("$5$rounds=1000$saltsalt$");
    std::vector<std::string> errors;
    const auto table =
        PasswordTable::parse("# users\n\njoe:" + hash + "\nAnn@Example.org:{CRYPT}" + hash +
                                 ":1000:1000::/home/ann:/bin/sh\r\nlocked:!:\nj\xc3\xbcrgen:" + hash,
                             "users", errors);
    CHECK(errors.empty());
    CHECK(table.size() == 4);
    for (const char* login : {"joe", "JOE", "ann@example.org", "locked", "j\xc3\xbcrgen"})
        CHECK(table.find(login) != nullptr);
    for (const char* login : {"", "jo", "joe ", "ann"})
        CHECK(table.find(login) == nullptr);
    CHECK(table.dummy() == table.find("joe"));
    CHECK(table.scram_example() == nullptr);
}

TEST_CASE("errors of a password file say where they are, and show no hash") {
    const std::string good = hash_of("$5$rounds=1000$saltsalt$");
    const std::string key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    struct Case {
        std::string text;
        std::string error;
    };
    const std::string unknown = "not a hash of a method that is known: $y$, $7$, $6$, $5$, $2b$";
    const Case cases[] = {
        {"joe", "f:1:1: not a line LOGIN:HASH"},
        {":" + good, "f:1:1: not a login name"},
        {"j\001oe:" + good, "f:1:1: not a login name"},
        {"j\xff:" + good, "f:1:1: not a login name"},
        {std::string(255, 'x') + ":" + good, "f:1:1: not a login name"},
        {"joe:", "f:1:5: there is no password hash"},
        {"joe::x", "f:1:5: there is no password hash"},
        {"\njoe:secret", "f:2:5: " + unknown},
        {"joe:{PLAIN}secret",
         "f:1:5: the scheme is none of {CRYPT}, {SHA512-CRYPT}, {SHA256-CRYPT}, {BLF-CRYPT}, "
         "{SCRAM-SHA-256}"},
        {"joe:{CRYPT", "f:1:5: a scheme without \"}\""},
        {"joe:$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", "f:1:5: " + unknown},
        {"joe:ab01FAX.bQRSU", "f:1:5: " + unknown},
        {"joe:" + good.substr(0, good.size() - 1), "f:1:5: not a complete $5$ hash of crypt(3)"},
        {"joe:$6$saltsalt$", "f:1:5: not a complete $6$ hash of crypt(3)"},
        {"joe:" + good + " ", "f:1:5: the hash has a character that no hash has"},
        {"joe:" + good + "\nJoe:" + good, "f:2:1: joe is given twice"},
        {"joe:{SCRAM-SHA-256}4096,c2FsdA==," + key,
         "f:1:5: a SCRAM verifier is iterations,salt,storedkey,serverkey"},
        {"joe:{SCRAM-SHA-256}1,c2FsdA==," + key + "," + key,
         "f:1:5: the iterations must be from 4096 to 10000000"},
        {"joe:{SCRAM-SHA-256}4096x,c2FsdA==," + key + "," + key,
         "f:1:5: the iterations must be from 4096 to 10000000"},
        {"joe:{SCRAM-SHA-256}4096,?," + key + "," + key, "f:1:5: the salt is not in base64"},
        {"joe:{SCRAM-SHA-256}4096,," + key + "," + key, "f:1:5: the salt is not in base64"},
        {"joe:{SCRAM-SHA-256}4096,c2FsdA==,c2FsdA==," + key, "f:1:5: a key is not 32 octets in base64"},
    };
    for (const Case& c : cases) {
        INFO(c.text);
        std::vector<std::string> errors;
        static_cast<void>(PasswordTable::parse(c.text, "f", errors));
        CHECK(errors == std::vector<std::string>{c.error});
    }
}

TEST_CASE("the verifier of RFC 7677") {
    // Its example: user "user", password "pencil".
    const auto verifier = parse_password_hash(
        "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
    REQUIRE(verifier.has_value());
    CHECK(matches(*verifier, Secret("pencil")));
    CHECK_FALSE(matches(*verifier, Secret("pencils")));
}

}  // namespace postrider::auth
