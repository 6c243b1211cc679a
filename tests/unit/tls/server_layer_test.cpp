#include "libcommon/tls/server_layer.h"

#include <catch2/catch.hpp>
#include <sys/socket.h>

#include <functional>
#include <thread>

#include "tests/unit/async/run.h"
#include "tests/unit/tls/test_client.h"

namespace postrider::tls::test {

namespace {

using async::Loop;
using async::Stream;
using async::Task;
using Context = std::shared_ptr<const ServerContext>;

std::shared_ptr<const Certificate> certificate_of(const MadePair& pair, const std::string& name = {}) {
    const auto parsed = Certificate::parse(pair.chain, pair.key, name);
    REQUIRE(parsed.has_value());
    return *parsed;
}

// Made once: RSA keys take a while.
struct Fixtures {
    MadePair authority = make_certificate({"Test CA", {}, KeyKind::Ecdsa, true, false});
    MadePair first = make_certificate({"mx.test", {"mx.test"}, KeyKind::Rsa, false, false}, &authority);
    MadePair first_ec =
        make_certificate({"mx-ec.test", {"mx.test"}, KeyKind::Ecdsa, false, false}, &authority);
    MadePair shop = make_certificate({"shop.test", {"*.shop.test", "shop.test"}, KeyKind::Ecdsa}, &authority);
    MadePair exact = make_certificate({"www.shop.test", {"www.shop.test"}, KeyKind::Ecdsa}, &authority);
    MadePair client = make_certificate({"client 7", {}, KeyKind::Ecdsa}, &authority);
    MadePair stranger = make_certificate({"stranger", {}, KeyKind::Ecdsa});
    TicketKey ticket_key = TicketKey::random();
};

const Fixtures& fixtures() {
    static const Fixtures made;
    return made;
}

std::shared_ptr<const KeyRing> make_ring(TicketKeys tickets) {
    auto authorities = parse_certificates(fixtures().authority.chain);
    REQUIRE(authorities.has_value());
    return std::make_shared<const KeyRing>(
        KeyRing{{certificate_of(fixtures().first), certificate_of(fixtures().first_ec),
                 certificate_of(fixtures().shop), certificate_of(fixtures().exact)},
                std::move(tickets),
                std::move(*authorities)});
}

Context make_context(const ServerOptions& wanted = {}, std::optional<TicketKeys> tickets = {}) {
    ServerOptions options = wanted;
    if (options.endpoint.empty()) options.endpoint = "127.0.0.1:25";
    options.ticket_lifetime = Seconds(3600);
    if (!tickets) tickets = TicketKeys{fixtures().ticket_key, std::nullopt};
    auto made = ServerContext::make(make_ring(*tickets), options);
    REQUIRE(made.has_value());
    return *made;
}

/// What the server does with a session after the handshake.
using Serve = Task<void> (*)(Loop&, Stream&);

Task<void> echo(Loop& loop, Stream& stream) {
    while (true) {
        auto more = co_await stream.fill(100'000, loop.after(Milliseconds(5000)));
        if (!more || !*more) co_return;
        stream.put(stream.buffered());
        stream.consume(stream.buffered().size());
        auto sent = co_await stream.flush(loop.after(Milliseconds(5000)));
        if (!sent) co_return;
    }
}

Task<void> serve(Loop& loop, Context context, Fd socket, Serve then, Result<Facts>& facts) {
    Stream stream(loop, std::move(socket));
    facts = co_await accept(stream, context, loop.after(Milliseconds(5000)));
    if (facts) co_await then(loop, stream);
}

/// Runs a server and `client` in a thread of its own beside it; what the server made of the handshake.
Result<Facts> meet(const Context& context, const ClientOptions& options,
                   const std::function<void(TestClient&)>& client, Serve then = echo) {
    int ends[2] = {-1, -1};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    Fd server_end(ends[0]);
    Fd client_end(ends[1]);
    Result<Facts> facts = temporary("no handshake");
    std::thread thread([&] {
        TestClient made(std::move(client_end), options);
        client(made);
    });
    Loop loop;
    async::run_to_end(loop, serve(loop, context, std::move(server_end), then, facts));
    thread.join();
    return facts;
}

/// What a client saw; checked in the test's own thread.
struct Seen {
    bool connected = false;
    bool resumed = false;
    std::string common_name;
    int key_type = 0;
    std::string binding;
    std::string echoed;
    SavedSession session;
};

/// Connects, has "hello" echoed, and says what it saw.
Result<Facts> greet(const Context& context, const ClientOptions& options, Seen& seen) {
    return meet(context, options, [&seen](TestClient& client) {
        seen.connected = client.connect();
        if (!seen.connected || !client.send("hello")) return;
        seen.echoed = client.receive(5);
        seen.resumed = client.resumed();
        seen.common_name = client.server_common_name();
        seen.key_type = client.server_key_type();
        seen.binding = client.channel_binding();
        seen.session = client.session();
        client.end_output();
    });
}

}  // namespace

TEST_CASE("TLS 1.2 and 1.3 are spoken, and nothing older") {
    struct Case {
        int version;
        const char* name;
        bool accepted;
        bool accepted_from_1_3;
    };
    const Case cases[] = {{TLS1_1_VERSION, "TLSv1.1", false, false},
                          {TLS1_2_VERSION, "TLSv1.2", true, false},
                          {TLS1_3_VERSION, "TLSv1.3", true, true}};
    for (const auto& test : cases) {
        for (const bool strict : {false, true}) {
            INFO(test.name << (strict ? " with tls_min 1.3" : ""));
            ServerOptions options;
            if (strict) options.least_version = TLS1_3_VERSION;
            Seen seen;
            const auto facts = greet(make_context(options), {.version = test.version}, seen);
            const bool expected = strict ? test.accepted_from_1_3 : test.accepted;
            CHECK(facts.has_value() == expected);
            CHECK(seen.connected == expected);
            if (!facts) {
                CHECK(facts.error().text.starts_with("TLS: "));
                continue;
            }
            CHECK(seen.echoed == "hello");
            CHECK(facts->version == test.name);
            CHECK_FALSE(facts->resumed);
            CHECK(facts->client_subject.empty());
            const bool bound = test.version == TLS1_3_VERSION;
            CHECK(facts->channel_binding == (bound ? seen.binding : std::string()));
        }
    }
}

TEST_CASE("ciphers without forward secrecy or authenticated encryption are refused") {
    for (const char* ciphers : {"AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256",
                                "ECDHE-ECDSA-AES128-SHA", "ADH-AES128-GCM-SHA256"}) {
        INFO(ciphers);
        Seen seen;
        CHECK_FALSE(greet(make_context(), {.version = TLS1_2_VERSION, .ciphers = ciphers}, seen).has_value());
    }
    ServerOptions unknown;
    unknown.ciphers = "NO-SUCH-CIPHER";
    const auto context = ServerContext::make(make_ring({fixtures().ticket_key, std::nullopt}), unknown);
    REQUIRE_FALSE(context.has_value());
    CHECK(context.error().text.starts_with("no usable cipher"));
}

TEST_CASE("the name that a client asks for picks the certificate") {
    struct Case {
        const char* name;
        const char* expected;
    };
    const Case cases[] = {{"", "mx-ec.test"},
                          {"mx.test", "mx-ec.test"},
                          {"MX.Test", "mx-ec.test"},
                          {"unknown.test", "mx-ec.test"},
                          {"shop.test", "shop.test"},
                          {"a.shop.test", "shop.test"},
                          {"a.b.shop.test", "mx-ec.test"},
                          {"www.shop.test", "www.shop.test"}};
    for (const auto& test : cases) {
        INFO(test.name);
        Seen seen;
        const auto facts = greet(make_context(), {.server_name = test.name}, seen);
        REQUIRE(facts.has_value());
        CHECK(seen.common_name == test.expected);
        CHECK(facts->server_name == test.name);
    }
    // A client that knows only RSA gets the other certificate of the same name.
    Seen seen;
    const ClientOptions rsa{
        .version = TLS1_2_VERSION, .server_name = "mx.test", .ciphers = "ECDHE-RSA-AES128-GCM-SHA256"};
    REQUIRE(greet(make_context(), rsa, seen).has_value());
    CHECK(seen.common_name == "mx.test");
    CHECK(seen.key_type == EVP_PKEY_RSA);
}

TEST_CASE("a session is resumed on its listener only, and while its key is known") {
    const TicketKey newer = TicketKey::random();
    const Context here = make_context();
    ServerOptions elsewhere;
    elsewhere.endpoint = "127.0.0.1:587";
    ServerOptions without;
    without.tickets = false;
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        INFO(version);
        Seen first;
        REQUIRE(greet(here, {.version = version}, first).has_value());
        REQUIRE(first.session != nullptr);
        struct Case {
            const char* what;
            Context context;
            bool resumed;
        };
        const Case cases[] = {
            {"another worker", make_context(), true},
            {"another listener", make_context(elsewhere), false},
            {"the key before", make_context({}, TicketKeys{newer, fixtures().ticket_key}), true},
            {"a forgotten key", make_context({}, TicketKeys{newer, std::nullopt}), false},
            {"tickets switched off", make_context(without), false},
        };
        for (const auto& test : cases) {
            INFO(test.what);
            Seen seen;
            const auto facts = greet(test.context, {.version = version, .resume = first.session.get()}, seen);
            REQUIRE(facts.has_value());
            CHECK(facts->resumed == test.resumed);
            CHECK(seen.resumed == test.resumed);
            CHECK(seen.echoed == "hello");
        }
    }
}

TEST_CASE("no tickets are made where they are switched off") {
    ServerOptions without;
    without.tickets = false;
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        Seen seen;
        REQUIRE(greet(make_context(without), {.version = version}, seen).has_value());
        REQUIRE(seen.session != nullptr);
        CHECK(SSL_SESSION_has_ticket(seen.session.get()) == 0);
    }
}

TEST_CASE("a client certificate gives a name if it is verified, and is not needed") {
    ServerOptions asking;
    asking.request_client_certificate = true;
    struct Case {
        std::optional<MadePair> certificate;
        bool asked;
        const char* subject;
    };
    const Case cases[] = {{fixtures().client, true, "CN=client 7"},
                          {fixtures().stranger, true, ""},
                          {std::nullopt, true, ""},
                          {fixtures().client, false, ""}};
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        for (const auto& test : cases) {
            Seen seen;
            const auto facts = greet(make_context(test.asked ? asking : ServerOptions()),
                                     {.version = version, .certificate = test.certificate}, seen);
            REQUIRE(facts.has_value());
            CHECK(facts->client_subject == test.subject);
        }
        // The name survives in the ticket.
        Seen first;
        REQUIRE(greet(make_context(asking), {.version = version, .certificate = fixtures().client}, first));
        Seen again;
        const auto facts =
            greet(make_context(asking), {.version = version, .resume = first.session.get()}, again);
        REQUIRE(facts.has_value());
        CHECK(facts->resumed);
        CHECK(facts->client_subject == "CN=client 7");
    }
}

TEST_CASE("more than any buffer holds goes both ways") {
    const std::string text = [] {
        std::string made;
        for (std::size_t at = 0; at < 3'000'000; ++at)
            made += static_cast<char>('a' + at % 23);
        return made;
    }();
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        std::string echoed;
        const auto facts = meet(make_context(), {.version = version}, [&](TestClient& client) {
            if (!client.connect()) return;
            for (std::size_t at = 0; at < text.size(); at += 50'000) {
                if (!client.send(text.substr(at, 50'000))) return;
                echoed += client.receive(std::min<std::size_t>(50'000, text.size() - at));
            }
            client.end_output();
        });
        REQUIRE(facts.has_value());
        CHECK(echoed == text);
    }
}

TEST_CASE("a large answer waits for a slow reader") {
    std::size_t received = 0;
    const Serve send_much = [](Loop& loop, Stream& stream) -> Task<void> {
        stream.put(std::string(5'000'000, 'x'));
        auto sent = co_await stream.flush(loop.after(Milliseconds(10'000)));
        CHECK(sent.has_value());
    };
    const auto facts = meet(
        make_context(), {},
        [&](TestClient& client) {
            if (!client.connect()) return;
            std::this_thread::sleep_for(Milliseconds(50));
            received = client.receive(6'000'000).size();
        },
        send_much);
    REQUIRE(facts.has_value());
    CHECK(received == 5'000'000);
}

TEST_CASE("after the client has ended its side it still gets its answer") {
    const Serve count_and_answer = [](Loop& loop, Stream& stream) -> Task<void> {
        while (true) {
            auto more = co_await stream.fill(100'000, loop.after(Milliseconds(5000)));
            REQUIRE(more.has_value());
            if (!*more) break;
        }
        stream.put(std::to_string(stream.buffered().size()));
        auto sent = co_await stream.flush(loop.after(Milliseconds(5000)));
        CHECK(sent.has_value());
    };
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        for (const bool with_notice : {true, false}) {
            INFO(version << (with_notice ? " with" : " without") << " close_notify");
            std::string answer;
            const auto facts = meet(
                make_context(), {.version = version},
                [&](TestClient& client) {
                    if (!client.connect() || !client.send("12345")) return;
                    if (with_notice) client.end_output();
                    ::shutdown(SSL_get_fd(client.handle()), SHUT_WR);
                    answer = client.receive(1);
                },
                count_and_answer);
            REQUIRE(facts.has_value());
            CHECK(answer == "5");
        }
    }
}

TEST_CASE("a client that does not go on with the handshake is given up") {
    int ends[2] = {-1, -1};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    const Fd silent(ends[1]);
    Loop loop;
    const auto check = [](Loop& on, Context context, Fd socket) -> Task<void> {
        Stream stream(on, std::move(socket));
        auto facts = co_await accept(stream, context, on.after(Milliseconds(30)));
        REQUIRE_FALSE(facts.has_value());
        CHECK(facts.error().temporary());
        CHECK(facts.error().text == "timed out in the handshake");
    };
    async::run_to_end(loop, check(loop, make_context(), Fd(ends[0])));
}

TEST_CASE("what is no TLS at all is an error, and so is a client that goes away") {
    for (const std::string_view sent : {"EHLO client.test\r\n", ""}) {
        int ends[2] = {-1, -1};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        Fd client(ends[1]);
        REQUIRE(::send(client.get(), sent.data(), sent.size(), 0) == static_cast<ssize_t>(sent.size()));
        ::shutdown(client.get(), SHUT_WR);
        Loop loop;
        const auto check = [](Loop& on, Context context, Fd socket) -> Task<void> {
            Stream stream(on, std::move(socket));
            auto facts = co_await accept(stream, context, on.after(Milliseconds(5000)));
            REQUIRE_FALSE(facts.has_value());
            CHECK(facts.error().temporary());
        };
        async::run_to_end(loop, check(loop, make_context(), Fd(ends[0])));
    }
}

TEST_CASE("input in clear text is never taken for encrypted") {
    int ends[2] = {-1, -1};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    const Fd client(ends[1]);
    REQUIRE(::send(client.get(), "STARTTLS\r\nMAIL\r\n", 16, 0) == 16);
    Loop loop;
    const auto check = [](Loop& on, Context context, Fd socket) -> Task<void> {
        Stream stream(on, std::move(socket));
        auto more = co_await stream.fill(1000, on.after(Milliseconds(5000)));
        REQUIRE(more.has_value());
        stream.consume(10);
        auto facts = co_await accept(stream, context, on.after(Milliseconds(5000)));
        REQUIRE_FALSE(facts.has_value());
        CHECK(facts.error().text == "the peer sent more before the handshake");
        CHECK_FALSE(stream.encrypted());
    };
    async::run_to_end(loop, check(loop, make_context(), Fd(ends[0])));
}

TEST_CASE("an idle session that the client ends is stale") {
    const Serve look = [](Loop& loop, Stream& stream) -> Task<void> {
        CHECK_FALSE(stream.stale());
        stream.put("go");
        auto sent = co_await stream.flush(loop.after(Milliseconds(5000)));
        REQUIRE(sent.has_value());
        co_await async::Sleep(loop, Milliseconds(200));
        CHECK(stream.stale());
    };
    for (const bool with_notice : {true, false}) {
        const auto facts = meet(
            make_context(), {},
            [&](TestClient& client) {
                if (!client.connect() || client.receive(2) != "go") return;
                if (with_notice) client.end_output();
            },
            look);
        CHECK(facts.has_value());
    }
}

TEST_CASE("sessions outlive the ring of keys that they began with") {
    Context context = make_context();
    const std::weak_ptr<const ServerContext> watched = context;
    int ends[2] = {-1, -1};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    std::string echoed;
    Fd client_end(ends[1]);
    std::thread thread([&] {
        TestClient client(std::move(client_end), {});
        if (client.connect() && client.send("hello")) echoed = client.receive(5);
        client.end_output();
    });
    Loop loop;
    const auto check = [](Loop& on, Context& given, Fd socket) -> Task<void> {
        Stream stream(on, std::move(socket));
        auto facts = co_await accept(stream, given, on.after(Milliseconds(5000)));
        REQUIRE(facts.has_value());
        // A new ring has come: nobody but the session has the old one now.
        given.reset();
        co_await echo(on, stream);
    };
    async::run_to_end(loop, check(loop, context, Fd(ends[0])));
    thread.join();
    CHECK(echoed == "hello");
    CHECK(watched.expired());
}

TEST_CASE("certificates and keys that are of no use") {
    const auto& made = fixtures();
    using Part = Certificate::Part;
    struct Case {
        std::string chain;
        std::string key;
        Part part;
        std::string text;
    };
    const std::string cut = made.first.chain.substr(0, 200) + "\n-----END CERTIFICATE-----\n";
    const Case cases[] = {
        {"", made.first.key, Part::Chain, "there is no certificate in it"},
        {made.first.key, made.first.key, Part::Chain, "there is no certificate in it"},
        {cut, made.first.key, Part::Chain, "not a certificate: "},
        {made.first.chain, "", Part::Key, "not a private key without passphrase: "},
        {made.first.chain, made.first.chain, Part::Key, "not a private key without passphrase: "},
        {made.first.chain, made.shop.key, Part::Key, "not the key of the certificate"},
    };
    for (const auto& test : cases) {
        const auto parsed = Certificate::parse(test.chain, test.key, "");
        REQUIRE_FALSE(parsed.has_value());
        CHECK(parsed.error().part == test.part);
        INFO(parsed.error().text);
        CHECK(parsed.error().text.starts_with(test.text));
    }
    // Both in one file, as some tools write them.
    const std::string both = made.first.key + made.first.chain;
    CHECK(Certificate::parse(both, both, "").has_value());
    const auto named = Certificate::parse(made.first.chain, made.first.key, "Other.Test");
    REQUIRE(named.has_value());
    CHECK((*named)->names() == std::vector<std::string>{"other.test"});
}

}  // namespace postrider::tls::test
