#include "smtpd/auth/exchange.h"

#include <catch2/catch.hpp>
#include <gsasl.h>

#include <memory>
#include <optional>
#include <string>

#include "libcommon/base/base64.h"
#include "smtpd/auth/plain.h"
#include "smtpd/auth/scram.h"

namespace postrider::auth {

namespace {

using namespace std::string_literals;

/// A step in one line.
std::string text_of(const Step& step) {
    if (const auto* challenge = std::get_if<Challenge>(&step)) return "challenge " + challenge->data;
    if (const auto* claim = std::get_if<Claim>(&step)) {
        return "claim " + claim->login + " " + std::string(claim->password.view());
    }
    if (const auto* proven = std::get_if<Proven>(&step)) return "proven " + proven->login;
    if (const auto* disproven = std::get_if<Disproven>(&step)) return "disproven " + disproven->login;
    return std::holds_alternative<Refused>(step) ? "refused" : "malformed";
}

}  // namespace

TEST_CASE("PLAIN") {
    struct Case {
        std::string data;
        std::string expected;
    };
    const Case cases[] = {
        {"\0joe\0secret"s, "claim joe secret"},
        {"joe\0joe\0secret"s, "claim joe secret"},
        {"\0j\xc3\xb6\0se cret"s, "claim j\xc3\xb6 se cret"},
        {"ann\0joe\0secret"s, "disproven joe"},
        {"\0joe\0"s, "malformed"},
        {"\0\0secret"s, "malformed"},
        {"\0joe"s, "malformed"},
        {"joe secret"s, "malformed"},
        {""s, "malformed"},
        {"\0joe\0sec\0ret"s, "malformed"},
        {"\0j\noe\0secret"s, "disproven "},
        {"\0j\xff\0secret"s, "disproven "},
        {"\0"s + std::string(255, 'x') + "\0secret"s, "disproven "},
        {"\0joe\0"s + std::string(512, 'x'), "disproven joe"},
    };
    for (const Case& c : cases) {
        INFO(c.expected);
        PlainExchange exchange;
        CHECK(text_of(exchange.start(c.data)) == c.expected);
        PlainExchange asked;
        CHECK(text_of(asked.start(std::nullopt)) == "challenge ");
        CHECK(text_of(asked.respond(c.data)) == c.expected);
    }
}

TEST_CASE("LOGIN") {
    LoginExchange asked;
    CHECK(text_of(asked.start(std::nullopt)) == "challenge Username:");
    CHECK(text_of(asked.respond("joe")) == "challenge Password:");
    CHECK(text_of(asked.respond("secret")) == "claim joe secret");
    LoginExchange initial;
    CHECK(text_of(initial.start("joe")) == "challenge Password:");
    CHECK(text_of(initial.respond("secret")) == "claim joe secret");
    for (const std::string& login : {""s, "j\0e"s, "j\xff"s, std::string(255, 'x')}) {
        LoginExchange exchange;
        CHECK(text_of(exchange.start(login)) == "challenge Password:");
        CHECK(text_of(exchange.respond("secret")) == "disproven ");
    }
    for (const std::string& password : {""s, "se\0cret"s, std::string(512, 'x')}) {
        LoginExchange exchange;
        CHECK(text_of(exchange.start("joe")) == "challenge Password:");
        CHECK(text_of(exchange.respond(password)) == "disproven joe");
    }
}

namespace {

constexpr std::string_view kBinding = "exporter of this channel, 32 oct";

/// What a client of libgsasl does.
struct ScramClient {
    std::string mechanism = "SCRAM-SHA-256";
    std::string login = "joe";
    std::string password = "secret";
    std::string binding;
    std::string identity;
};

/// libgsasl's client against our server: how it ends, and whether the client believes the server.
struct Ending {
    std::string server;
    bool client_is_content = false;
};

class ScramFixture {
  public:
    ScramFixture() : verifier_(make_scram_verifier(Secret("secret"), "0123456789abcdef", 4096)) {
        REQUIRE(::gsasl_init(&client_context_) == GSASL_OK);
    }
    ~ScramFixture() { ::gsasl_done(client_context_); }
    ScramFixture(const ScramFixture&) = delete;
    ScramFixture& operator=(const ScramFixture&) = delete;

    std::unique_ptr<ScramExchange> server(bool plus, std::string_view binding) {
        return std::make_unique<ScramExchange>(
            library_, plus, std::string(binding), [this](const std::string& login) {
                return login == "joe" ? verifier_ : made_up_verifier(login, "key", verifier_);
            });
    }

    Ending run(const ScramClient& client, bool plus, std::string_view server_binding) {
        Gsasl_session* session = nullptr;
        REQUIRE(::gsasl_client_start(client_context_, client.mechanism.c_str(), &session) == GSASL_OK);
        const std::unique_ptr<Gsasl_session, void (*)(Gsasl_session*)> owner(session, ::gsasl_finish);
        REQUIRE(::gsasl_property_set(session, GSASL_AUTHID, client.login.c_str()) == GSASL_OK);
        REQUIRE(::gsasl_property_set(session, GSASL_PASSWORD, client.password.c_str()) == GSASL_OK);
        if (!client.identity.empty()) {
            REQUIRE(::gsasl_property_set(session, GSASL_AUTHZID, client.identity.c_str()) == GSASL_OK);
        }
        if (!client.binding.empty()) {
            const std::string encoded = encode_base64(client.binding);
            REQUIRE(::gsasl_property_set(session, GSASL_CB_TLS_EXPORTER, encoded.c_str()) == GSASL_OK);
        }
        const auto exchange = server(plus, server_binding);
        bool begun = false;
        Ending ending;
        std::string from_server;
        while (true) {
            char* data = nullptr;
            std::size_t size = 0;
            const int result = ::gsasl_step(session, from_server.data(), from_server.size(), &data, &size);
            const std::unique_ptr<char, void (*)(void*)> data_owner(data, ::gsasl_free);
            if (result == GSASL_OK && !ending.server.empty()) {
                ending.client_is_content = true;
                return ending;
            }
            if (result != GSASL_OK && result != GSASL_NEEDS_MORE) return ending;
            const std::string message(data, size);
            const Step step = begun ? exchange->respond(message) : exchange->start(message);
            begun = true;
            if (const auto* challenge = std::get_if<Challenge>(&step)) {
                from_server = challenge->data;
                continue;
            }
            ending.server = text_of(step);
            const auto* proven = std::get_if<Proven>(&step);
            if (proven == nullptr) return ending;
            from_server = proven->final_data;
        }
    }

  private:
    SaslLibrary library_;
    Gsasl* client_context_ = nullptr;
    ScramVerifier verifier_;
};

}  // namespace

TEST_CASE("SCRAM-SHA-256 with libgsasl's client") {
    ScramFixture scram;
    struct Case {
        ScramClient client;
        bool plus;
        std::string_view server_binding;
        std::string expected;
    };
    const std::string plus = "SCRAM-SHA-256-PLUS";
    const std::string binding(kBinding);
    const Case cases[] = {
        {{}, false, "", "proven joe"},
        {{.login = "JOE"}, false, "", "proven joe"},
        {{.identity = "joe"}, false, "", "proven joe"},
        {{.identity = "ann"}, false, "", "disproven joe"},
        {{.password = "wrong"}, false, "", "disproven joe"},
        {{.login = "ann"}, false, "", "disproven ann"},
        {{}, false, kBinding, "proven joe"},  // a client that knows of no binding
        {{.mechanism = plus, .binding = binding}, true, kBinding, "proven joe"},
        {{.mechanism = plus, .password = "wrong", .binding = binding}, true, kBinding, "disproven joe"},
        // Somebody in between: his channel to us is another one than the client's channel to him.
        {{.mechanism = plus, .binding = "another channel"}, true, kBinding, "disproven joe"},
        {{.mechanism = plus, .binding = binding}, true, "", "refused"},
        {{}, true, kBinding, "disproven "},
    };
    for (const Case& c : cases) {
        INFO(c.client.mechanism << " " << c.client.login << " " << c.expected << " " << c.plus);
        const Ending ending = scram.run(c.client, c.plus, c.server_binding);
        CHECK(ending.server == c.expected);
        CHECK(ending.client_is_content == (c.expected == "proven joe"));
    }
}

TEST_CASE("a client that was kept from seeing -PLUS notices, and so do we") {
    ScramFixture scram;
    // "y": I could bind the channel, but you seem not to.
    const std::string could = "y,,n=joe,r=abcdef";
    CHECK(text_of(scram.server(false, kBinding)->start(could)) == "disproven ");
    CHECK(text_of(scram.server(false, "")->start(could)).starts_with("challenge r=abcdef"));
}

TEST_CASE("SCRAM messages that are none") {
    ScramFixture scram;
    const std::string first = "n,,n=joe,r=abcdef";
    CHECK(text_of(scram.server(false, "")->start(std::nullopt)) == "challenge ");
    for (const std::string& data : {""s, "x"s, "n,,"s, "n,,n=joe"s, "n,,n=joe\0,r=abc"s, "\xff\xff"s,
                                    "n,,n=joe,r="s, "n,,m=x,n=joe,r=abc"s, std::string(5000, ',')}) {
        INFO(data);
        CHECK(text_of(scram.server(false, "")->start(data)) == "malformed");
    }
    for (const std::string& data : {""s, "x"s, "c=biws"s, "c=biws,r=abcdef"s, "c=!!,r=abcdef,p=AAAA"s}) {
        INFO(data);
        const auto server = scram.server(false, "");
        REQUIRE(text_of(server->start(first)).starts_with("challenge r=abcdef"));
        const std::string answer = text_of(server->respond(data));
        CHECK((answer == "malformed" || answer == "disproven joe"));
    }
}

TEST_CASE("an unknown login looks like a known one, and always the same") {
    const ScramVerifier example = make_scram_verifier(Secret("secret"), "0123456789ab", 5000);
    const ScramVerifier one = made_up_verifier("ann", "key", example);
    CHECK(one.iterations == 5000);
    CHECK(one.salt.size() == 12);
    CHECK(one.salt == made_up_verifier("ann", "key", example).salt);
    CHECK(one.salt != made_up_verifier("bob", "key", example).salt);
    CHECK(one.salt != made_up_verifier("ann", "another", example).salt);
    CHECK_FALSE(matches(PasswordHash(one), Secret("secret")));
}

}  // namespace postrider::auth
