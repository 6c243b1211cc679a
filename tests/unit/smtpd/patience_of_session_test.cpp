#include <catch2/catch.hpp>

#include <string>

#include "tests/unit/smtpd/player.h"

// What a client cannot do for ever, and what it must not be blamed for.
namespace postrider::smtpd {

using config::Limit;
using test::kAsExpected;
using test::Player;

namespace {

const std::string kGreeted = "< 220\n> EHLO a.test\n< 250\n";
const std::string kEnvelope = "> MAIL FROM:<a@b.test>\n< 250\n> RCPT TO:<x@local.test>\n< 250\n";

std::string repeated(const std::string& text, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i)
        all += text;
    return all;
}

}  // namespace

TEST_CASE("a refusal that was held back arrives, however busy the worker is") {
    Player player;
    player.busy = true;
    auto* tarpit = player.router.client.policy.mutable_tarpit();
    tarpit->set_first_ms(5);
    tarpit->set_most_ms(5);
    player.settings.limits.set(Limit::ErrorsBeforeDrop, 1000);
    CHECK(player.play(kGreeted + repeated("> RCPT TO:<x@local.test>\n< 503\n", 400)) == kAsExpected);
}

TEST_CASE("a client that never waits leaves the others their turns") {
    Player player;
    player.busy = true;
    player.pause_of_others = Milliseconds(0);
    player.settings.limits.set(Limit::SessionRefusals, 1'000'000);
    player.settings.limits.set(Limit::MaxRecipients, 1);
    // All that is read at once, answered without asking anybody.
    constexpr std::size_t kCommands = 2400;
    const std::string commands = repeated("RCPT TO:<y@local.test>\\r\\n", kCommands);
    CHECK(player.play(kGreeted + kEnvelope + ">> " + commands + repeated("\n< 452", kCommands)) ==
          kAsExpected);
    CHECK(player.turns > kCommands / 200);
}

TEST_CASE("temporary refusals end the session when there are too many") {
    Player player;
    player.settings.limits.set(Limit::SessionRefusals, 5);
    player.settings.limits.set(Limit::MaxRecipients, 1);
    CHECK(player.play(kGreeted + kEnvelope + repeated("> RCPT TO:<y@local.test>\n< 452\n", 5) +
                      "> RCPT TO:<y@local.test>\n< 421 4.7.0\n< closed") == kAsExpected);
}

TEST_CASE("a pipelined group behind a refused sender costs one error") {
    for (const std::string sender : {"bad@b.test", "later@b.test"}) {
        Player player;
        const std::string refusal = sender.starts_with("bad") ? "< 550\n" : "< 451\n";
        CHECK(player.play(kGreeted + "> MAIL FROM:<" + sender + ">\n" +
                          repeated("> RCPT TO:<x@local.test>\n", 40) + "> DATA\n" + refusal +
                          repeated("< 503\n", 41) + "> NOOP\n< 250\n> QUIT\n< 221") == kAsExpected);
    }
}

TEST_CASE("a program of the host that names unknown users can go on with the others") {
    Player player;
    player.local = true;
    player.settings.listeners.front().kind = config::ListenerKind::Local;
    CHECK(player.play(kGreeted + "> MAIL FROM:<a@b.test>\n< 250\n" +
                      repeated("> RCPT TO:<nobody@local.test>\n< 550\n", 40) +
                      "> RCPT TO:<x@local.test>\n< 250\n> DATA\n< 354\n> .\n< 250\n> QUIT\n< 221") ==
          kAsExpected);
    player.sessions_of_client = 201;
    CHECK(player.play("< 421 4.7.0\n< closed") == kAsExpected);
}

TEST_CASE("content that is worth nothing is not read for ever") {
    Player player;
    player.settings.limits.set(Limit::MaxMessageSize, std::uint64_t{64} * 1024);
    const std::string line = std::string(70, 'x') + "\\r\\n";
    const std::string much = repeated(line, 4000);
    SECTION("a chunk without a transaction") {
        CHECK(player.play(kGreeted + ">> BDAT 18446744073709551615\\r\\n" + much +
                          "\n< 421 4.7.0\n< closed") == kAsExpected);
    }
    SECTION("DATA far beyond the size") {
        CHECK(player.play(kGreeted + kEnvelope + "> DATA\n< 354\n>> " + much + "\n< 421 4.7.0\n< closed") ==
              kAsExpected);
    }
    SECTION("for longer than a session lasts") {
        player.settings.limits.set(Limit::SessionTimeout, 100);
        player.busy = true;
        CHECK(player.play(kGreeted + kEnvelope +
                          "> DATA\n< 354\n>> a\\nb\\r\\n\n! wait 200\n>> c\\r\\n\n"
                          "< 421 4.7.0\n< closed") == kAsExpected);
    }
    CHECK(player.queue.committed() == 0);
}

TEST_CASE("content that arrives too slowly ends the session") {
    Player player;
    player.settings.limits.set(Limit::ReceiveIdleTimeout, 500);
    player.settings.limits.set(Limit::ReceiveMinRate, 1000);
    std::string script = kGreeted + kEnvelope + "> DATA\n< 354\n";
    for (int piece = 0; piece < 20; ++piece)
        script += ">> x\\r\\n\n! wait 100\n";
    CHECK(player.play(script + "< 421 4.4.2\n< closed") == kAsExpected);
}

TEST_CASE("a command that comes octet by octet is awaited once") {
    Player player;
    player.settings.limits.set(Limit::CommandTimeoutBeforeRcpt, 300);
    std::string script = kGreeted;
    for (int piece = 0; piece < 10; ++piece)
        script += ">> X\n! wait 50\n";
    CHECK(player.play(script + "< 421 4.4.2\n< closed") == kAsExpected);
}

TEST_CASE("clients that do not wait where they must are sent away") {
    struct Case {
        std::string commands;
        bool relay;
        bool allowed;
    };
    const Case cases[] = {
        {"HELO a.test\\r\\nMAIL FROM:<a@b.test>\\r\\n", false, false},
        {"EHLO a.test\\r\\nMAIL FROM:<a@b.test>\\r\\n", false, false},
        {"EHLO a.test\\r\\nMAIL FROM:<a@b.test>\\r\\n", true, true},
    };
    for (const Case& test : cases) {
        INFO(test.commands);
        Player player;
        player.router.client.policy.set_relay(test.relay);
        CHECK(player.play("< 220\n>> " + test.commands +
                          (test.allowed ? "\n< 250\n< 250\n> QUIT\n< 221" : "\n< 503 5.5.1\n< closed")) ==
              kAsExpected);
    }
    Player player;
    CHECK(player.play("< 220\n> HELO a.test\n< 250\n> MAIL FROM:<a@b.test>\n> RCPT TO:<x@local.test>\n"
                      "< 503 5.5.1\n< closed") == kAsExpected);
    Player without;
    without.router.client.policy.add_hidden(wire::SessionPolicy::PIPELINING);
    CHECK(
        without.play(kGreeted + "> MAIL FROM:<a@b.test>\n> RCPT TO:<x@local.test>\n< 503 5.5.1\n< closed") ==
        kAsExpected);
}

TEST_CASE("a client that begins with TLS where nobody speaks it is told so at once") {
    Player player;
    CHECK(player.play("< 220\n>> \x16\x03\x01\\0\x05hello\n< 554 5.5.1\n< closed") == kAsExpected);
}

TEST_CASE("who may not come in does not get a handshake either") {
    Player player;
    player.settings.listeners.front().tls = config::ListenerTls::Implicit;
    player.tls.available = true;
    player.sessions_of_client = 21;
    CHECK(player.play("< closed") == kAsExpected);
    CHECK(player.tls.handshakes == 0);
    player.sessions_of_client = 1;
    player.router.client.verdict = test::refusal(421, {4, 7, 0}, "Too many", "client_connection_rate");
    CHECK(player.play("< closed") == kAsExpected);
    CHECK(player.tls.handshakes == 0);
    player.router.client.verdict = {};
    CHECK(player.play("< 220\n> QUIT\n< 221") == kAsExpected);
    CHECK(player.tls.handshakes == 1);
}

TEST_CASE("a login that the policy refuses is none") {
    Player player;
    player.settings.listeners.front().kind = config::ListenerKind::Submission;
    player.settings.listeners.front().auth = config::ListenerAuth::Always;
    player.logins.offered = {"PLAIN"};
    player.router.refused_login = "jdoe";
    CHECK(player.play(kGreeted + "> AUTH PLAIN AGpkb2UAc2VjcmV0\n< 535 5.7.1 Account closed\n"
                                 "> MAIL FROM:<a@b.test>\n< 530\n> QUIT\n< 221") == kAsExpected);
}

}  // namespace postrider::smtpd
