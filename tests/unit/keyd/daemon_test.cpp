// The real keyd, and the session workers' side of its socket.

#include <catch2/catch.hpp>
#include <sys/socket.h>

#include <functional>
#include <thread>

#include "libcommon/ipc/channel.h"
#include "libcommon/privsep/profile.h"
#include "smtpd/key_link.h"
#include "tests/unit/async/run.h"
#include "tests/unit/keyd/keyd_process.h"
#include "tests/unit/tls/test_client.h"

namespace postrider::keyd::test {

namespace {

using async::Loop;
using async::Stream;
using async::Task;
using smtpd::KeyLink;
using smtpd::TlsSession;
using tls::test::ClientOptions;
using tls::test::make_certificate;
using tls::test::TestClient;

Task<Result<Fd>> connect_to(std::string path) {
    co_return ipc::connect_seqpacket(path);
}

/// Waits until there are keys; checks that.
Task<void> wait_ready(Loop& loop, const KeyLink& link) {
    for (int tries = 0; tries < 400 && !link.ready(); ++tries)
        co_await async::Sleep(loop, Milliseconds(25));
    CHECK(link.ready());
}

/// One client of one listener, in a thread of its own: what it saw.
struct Visit {
    std::string common_name;
    std::string echoed;
    tls::test::SavedSession session;
    std::thread thread;
    ~Visit() {
        if (thread.joinable()) thread.join();
    }
};

/// Begins a visit; the server's end of the connection.
Fd begin(Visit& visit, const ClientOptions& options = {}) {
    int ends[2] = {-1, -1};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    visit.thread = std::thread([&visit, options, end = ends[1]] {
        TestClient client(Fd(end), options);
        if (!client.connect() || !client.send("hello")) return;
        visit.echoed = client.receive(5);
        visit.common_name = client.server_common_name();
        visit.session = client.session();
        // A session that was not ended in good order cannot be resumed.
        client.end_output();
    });
    return Fd(ends[0]);
}

Task<Result<TlsSession>> serve_visit(Loop& loop, KeyLink& link, const config::Listener& listener, Fd socket) {
    Stream stream(loop, std::move(socket));
    auto session = co_await link.accept(stream, listener, loop.after(Milliseconds(5000)));
    if (!session) co_return session;
    auto more = co_await stream.fill(1000, loop.after(Milliseconds(5000)));
    if (!more || !*more) co_return temporary("nothing came");
    stream.put(stream.buffered());
    stream.consume(stream.buffered().size());
    auto sent = co_await stream.flush(loop.after(Milliseconds(5000)));
    if (!sent) co_return failure(sent.error());
    co_return session;
}

/// Visits until the certificate has this name, as long as it may take keyd to notice; whether it did.
Task<bool> eventually_serves(Loop& loop, KeyLink& link, const config::Listener& listener, std::string name) {
    for (int tries = 0; tries < 100; ++tries) {
        std::string seen;
        {
            Visit visit;
            Fd socket = begin(visit);
            auto session = co_await serve_visit(loop, link, listener, std::move(socket));
            if (!session) co_return false;
            visit.thread.join();
            seen = visit.common_name;
        }
        if (seen == name) co_return true;
        co_await async::Sleep(loop, Milliseconds(50));
    }
    co_return false;
}

KeyLink::Client::Connect connector(const KeydProcess& keyd) {
    return [path = keyd.path("run/key.sock")]() { return connect_to(path); };
}

}  // namespace

TEST_CASE("a key that does not belong to its certificate is found at --check and at the start") {
    KeydProcess keyd;
    keyd.write_pair("a", make_certificate({"a.test", {"a.test"}}));
    keyd.write_pair("b", make_certificate({"b.test", {"b.test"}}));
    keyd.write("postrider.conf", "tls_certificate a.pem b.key\n");
    for (const std::vector<std::string>& arguments : {std::vector<std::string>{"--check"}, {}})
        CHECK(keyd.run(arguments) == 78);
    const std::string error = "postrider.conf:" + std::to_string(KeydProcess::kLinesInFront + 1) +
                              ":23: " + keyd.path("etc/b.key") + ": not the key of";
    CHECK(keyd.log().find(error) != keyd.log().rfind(error));
    keyd.write("postrider.conf", "tls_certificate a.pem a.key\n");
    CHECK(keyd.run({"--check"}) == 1);
    CHECK(keyd.log().find("everybody may read the private key") != std::string::npos);
    std::filesystem::permissions(keyd.path("etc/a.key"), std::filesystem::perms(0600));
    CHECK(keyd.run({"--check"}) == 0);
}

TEST_CASE("new certificates are used, broken ones are not, and sessions go on") {
    tls::prepare_library();
    KeydProcess keyd;
    keyd.write_pair("a", make_certificate({"first.test", {"mx.test"}}));
    keyd.write("postrider.conf", "tls_certificate a.pem a.key\nlisten 127.0.0.1:25 smtp\n");
    const config::Settings settings = keyd.settings();
    keyd.launch({});
    Loop loop;
    const auto check = [](Loop& on, const config::Settings& config, KeydProcess& process) -> Task<void> {
        KeyLink link(on, connector(process), config);
        CHECK_FALSE(link.ready());
        link.start();
        co_await wait_ready(on, link);
        const config::Listener& listener = config.listeners.front();
        // A session that lasts through everything that follows.
        Visit longest;
        Stream stream(on, begin(longest));
        auto session = co_await link.accept(stream, listener, on.after(Milliseconds(5000)));
        REQUIRE(session.has_value());
        bool served = co_await eventually_serves(on, link, listener, "first.test");
        CHECK(served);

        process.write("a.key", "this is no key\n");
        CHECK(process.logs("keys_not_loaded"));
        served = co_await eventually_serves(on, link, listener, "first.test");
        CHECK(served);
        process.write_pair("a", make_certificate({"second.test", {"mx.test"}}));
        served = co_await eventually_serves(on, link, listener, "second.test");
        CHECK(served);

        auto more = co_await stream.fill(1000, on.after(Milliseconds(5000)));
        REQUIRE(more.has_value());
        stream.put(stream.buffered());
        auto sent = co_await stream.flush(on.after(Milliseconds(5000)));
        CHECK(sent.has_value());
        longest.thread.join();
        CHECK(longest.common_name == "first.test");
        CHECK(longest.echoed == "hello");

        // Without keyd everything stays as it is.
        CHECK(process.stop() == 0);
        served = co_await eventually_serves(on, link, listener, "second.test");
        CHECK(served);
    };
    async::run_to_end(loop, check(loop, settings, keyd));
}

TEST_CASE("a ticket of one worker is good at another, and on its listener only") {
    tls::prepare_library();
    KeydProcess keyd;
    keyd.write_pair("a", make_certificate({"mx.test", {"mx.test"}}));
    keyd.write("postrider.conf",
               "tls_certificate a.pem a.key\nlisten 127.0.0.1:25 smtp\nlisten 127.0.0.1:587 submission\n"
               "listen 127.0.0.1:26 smtp tls=off\n");
    const config::Settings settings = keyd.settings();
    keyd.launch({});
    Loop loop;
    const auto check = [](Loop& on, const config::Settings& config, KeydProcess& process) -> Task<void> {
        KeyLink one(on, connector(process), config);
        KeyLink other(on, connector(process), config);
        one.start();
        other.start();
        co_await wait_ready(on, one);
        co_await wait_ready(on, other);
        Visit first;
        Fd socket = begin(first);
        auto session = co_await serve_visit(on, one, config.listeners[1], std::move(socket));
        REQUIRE(session.has_value());
        CHECK_FALSE(session->resumed);
        first.thread.join();
        for (const std::size_t listener : {1U, 0U}) {
            ClientOptions options;
            options.resume = first.session.get();
            Visit again;
            socket = begin(again, options);
            session = co_await serve_visit(on, other, config.listeners[listener], std::move(socket));
            REQUIRE(session.has_value());
            CHECK(session->resumed == (listener == 1));
        }
        Visit refused;
        socket = begin(refused);
        session = co_await serve_visit(on, other, config.listeners[2], std::move(socket));
        CHECK_FALSE(session.has_value());
    };
    async::run_to_end(loop, check(loop, settings, keyd));
    CHECK(keyd.stop() == 0);
}

TEST_CASE("keys are given to session workers only") {
    KeydProcess keyd;
    keyd.write_pair("a", make_certificate({"mx.test", {"mx.test"}}));
    keyd.write("postrider.conf", "tls_certificate a.pem a.key\n");
    keyd.launch({});
    REQUIRE(keyd.logs("started certificates=1"));
    Loop loop;
    const auto check = [](Loop& on, KeydProcess& process) -> Task<void> {
        wire::KeyRequest hello;
        for (const wire::Role role : {wire::ROLE_ADMIN, wire::ROLE_NONE, wire::ROLE_SMTPD}) {
            auto socket = ipc::connect_seqpacket(process.path("run/key.sock"));
            REQUIRE(socket.has_value());
            ipc::Channel channel(on, std::move(*socket));
            hello.mutable_hello()->set_role(role);
            REQUIRE(channel.post(hello).has_value());
            int frames = 0;
            while (frames < 2) {
                auto frame = co_await channel.receive(on.after(Milliseconds(5000)));
                if (!frame || !*frame) break;
                ++frames;
            }
            CHECK(frames == (role == wire::ROLE_SMTPD ? 2 : 0));
            // Whoever asks, though there is nothing to ask, is disconnected.
            static_cast<void>(channel.post(hello));
            auto end = co_await channel.receive(on.after(Milliseconds(5000)));
            CHECK((!end || !*end));
        }
    };
    async::run_to_end(loop, check(loop, keyd));
    CHECK(keyd.stop() == 0);
}

TEST_CASE("a confined session worker makes TLS sessions with keys that came after its confinement") {
    KeydProcess keyd;
    const auto authority = make_certificate({"CA", {}, tls::test::KeyKind::Ecdsa, true, false});
    keyd.write_pair("a", make_certificate({"mx.test", {"mx.test"}, tls::test::KeyKind::Rsa}));
    keyd.write("ca.pem", authority.chain);
    keyd.write(
        "postrider.conf",
        "tls_certificate a.pem a.key\ntls_client_ca ca.pem\nlisten 127.0.0.1:25 smtp client_cert=request\n");
    const config::Settings settings = keyd.settings();
    keyd.launch({});
    REQUIRE(keyd.logs("started certificates=1"));
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        INFO(version);
        int ends[2] = {-1, -1};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        const pid_t worker = ::fork();
        if (worker == 0) {
            Fd server_end(ends[0]);
            ::close(ends[1]);
            tls::prepare_library();
            auto channel = ipc::connect_seqpacket(keyd.path("run/key.sock"));
            privsep::Paths paths;
            paths.run_directory = settings.run_dir;
            privsep::confine(privsep::Daemon::SmtpdWorker, {54321, 54321, {}}, paths);
            Loop loop;
            bool good = false;
            const auto serve = [](Loop& on, const config::Settings& config, Fd key_socket, Fd client,
                                  bool& done) -> Task<void> {
                auto given = std::make_shared<Fd>(std::move(key_socket));
                const auto hand_over = [](std::shared_ptr<Fd> held) -> Task<Result<Fd>> {
                    if (!*held) co_return temporary("given already");
                    co_return std::move(*held);
                };
                KeyLink link(
                    on, [given, hand_over]() { return hand_over(given); }, config);
                link.start();
                co_await wait_ready(on, link);
                auto session = co_await serve_visit(on, link, config.listeners.front(), std::move(client));
                done = session && session->client_certificate == "CN=someone";
            };
            async::run_to_end(loop, serve(loop, settings, std::move(*channel), std::move(server_end), good));
            ::_exit(good ? 0 : 1);
        }
        ::close(ends[0]);
        ClientOptions options;
        options.version = version;
        options.certificate = make_certificate({"someone", {}}, &authority);
        TestClient client(Fd(ends[1]), options);
        CHECK(client.connect());
        CHECK(client.send("hello"));
        CHECK(client.receive(5) == "hello");
        int status = 0;
        REQUIRE(::waitpid(worker, &status, 0) == worker);
        CHECK(status == 0);
    }
    CHECK(keyd.stop() == 0);
}

}  // namespace postrider::keyd::test
