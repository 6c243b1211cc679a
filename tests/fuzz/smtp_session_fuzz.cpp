// A whole SMTP session against arbitrary octets: the real Session on a real socket, with a router and a
// queue-manager that are played. The first octet of the input says in pieces of what size the rest arrives,
// and its lowest bits what the client may do.
//
// Whatever is sent, the session ends; every message that was opened is committed or aborted; what is
// committed has no bare CR, bare LF or NUL; and every promise that the client was given is a message in the
// queue.

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "libcommon/log/log.h"
#include "tests/unit/smtpd/player.h"

namespace {

using namespace postrider;
using smtpd::test::FakeQueue;
using smtpd::test::FakeRouter;

constexpr std::size_t kReplyBlock = 65536;

struct Setup {
    Setup() : settings(smtpd::test::test_settings()) {
        log::init("fuzz", log::Format::Text, log::Level::Error);
        settings.limits.set(config::Limit::MaxMessageSize, std::uint64_t{64} * 1024);
        settings.limits.set(config::Limit::MaxRecipients, 5);
        settings.limits.set(config::Limit::BdatChunks, 20);
        settings.listeners.front().auth = config::ListenerAuth::Always;
    }
    async::Loop loop;
    config::Settings settings;
};

void require(bool condition) {
    if (!condition) std::abort();
}

async::Task<void> run_session(async::Loop& loop, std::unique_ptr<smtpd::Session>& session) {
    co_await session->run();
    session.reset();
    loop.stop();
}

void allow(std::uint8_t bits, FakeRouter& router, smtpd::test::FakeTls& tls,
           smtpd::test::FakeLogins& logins) {
    auto& policy = router.client.policy;
    policy.set_etrn((bits & 1U) != 0);
    policy.set_vrfy((bits & 1U) != 0);
    policy.set_expn((bits & 1U) != 0);
    router.client.ask_again_with_helo = (bits & 1U) != 0;
    tls.available = (bits & 2U) != 0;
    if ((bits & 2U) != 0) logins.offered = {"PLAIN", "LOGIN"};
}

// Sends the input in pieces and then closes its side; collects the replies.
async::Task<void> send(async::Loop& loop, async::Stream& client, std::string input, std::size_t piece) {
    for (std::size_t at = 0; at < input.size(); at += piece) {
        client.put(std::string_view(input).substr(at, piece));
        auto flushed = co_await client.flush(loop.after(Seconds(10)));
        if (!flushed) co_return;
        co_await async::Sleep(loop, Milliseconds(0));
    }
    static_cast<void>(::shutdown(client.descriptor(), SHUT_WR));
}

async::Task<void> collect(async::Loop& loop, async::Stream& client, std::string& replies) {
    while (true) {
        auto filled = co_await client.fill(kReplyBlock, loop.after(Seconds(10)));
        if (!filled || !*filled) co_return;
        replies += client.buffered();
        client.consume(client.buffered().size());
    }
}

std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++found;
    return found;
}

void check_content(const std::string& content) {
    require(content.starts_with("Received: from "));
    for (std::size_t at = 0; at < content.size(); ++at) {
        require(content[at] != '\0');
        if (content[at] == '\n') require(at > 0 && content[at - 1] == '\r');
        if (content[at] == '\r') require(at + 1 < content.size() && content[at + 1] == '\n');
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Setup setup;
    if (size == 0) return 0;
    const std::size_t piece = data[0] == 0 ? size : std::size_t{data[0]} * 8;
    std::string input(reinterpret_cast<const char*>(data) + 1, size - 1);

    FakeRouter router(setup.loop);
    FakeQueue queue;
    smtpd::test::FakeTls tls;
    smtpd::test::FakeLogins logins;
    allow(data[0], router, tls, logins);
    auto [server_end, client_end] = smtpd::test::socket_pair();
    smtpd::ClientInfo info;
    info.address = config::IpAddress();
    const smtpd::Services services{setup.loop, setup.settings, router, queue, tls, logins};
    auto session = std::make_unique<smtpd::Session>(services, info, std::move(server_end));
    async::Stream client(setup.loop, std::move(client_end));
    std::string replies;
    {
        async::Scope scope(setup.loop);
        scope.spawn(run_session(setup.loop, session));
        scope.spawn(collect(setup.loop, client, replies));
        scope.spawn(send(setup.loop, client, std::move(input), piece));
        setup.loop.run();
        // What the session said last is in the socket still.
        replies += client.buffered();
    }
    require(session == nullptr);
    for (const auto& [id, message] : queue.messages) {
        require(message.committed != message.aborted);
        const bool binary = message.envelope.body() == wire::Envelope::BINARYMIME;
        if (message.committed && !binary) check_content(message.content);
    }
    // Only where a reply begins: another one may repeat these words of a client's.
    require(count(replies, "\n250 2.0.0 queued as ID") <= queue.committed());
    return 0;
}
