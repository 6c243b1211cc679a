#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "tests/unit/smtpd/player.h"

namespace postrider::smtpd {

namespace {

using test::kAsExpected;
using test::Player;

// What Player::play() returns then; anything else says what was not.

const std::string kGreeted = "< 220 mx.test ESMTP\n> EHLO client.test\n< 250-mx.test\n";

const std::string kMessage =
    "> MAIL FROM:<alice@client.test>\n< 250 2.1.0\n"
    "> RCPT TO:<bob@local.test>\n< 250 2.1.5\n"
    "> DATA\n< 354\n"
    "> Subject: hello\n>\n> body\n> .\n< 250 2.0.0 queued as ID";

}  // namespace

TEST_CASE("a dialogue brings a message into the queue") {
    Player player;
    // As old clients speak: HELO, no angle brackets, a blank behind the colon.
    CHECK(player.play("< 220\n"
                      "> HELO anything.other.org\n< 250 mx.test\n"
                      "> MAIL From: admin@anything.other.org\n< 250 2.1.0\n"
                      "> RCPT To: john.smith@local.test\n< 250 2.1.5\n"
                      "> DATA\n< 354\n"
                      ">> Date: Tue, Mar 09 2004\\r\\nSubject: Test\\r\\n\\r\\n..dot\\r\\n.\\r\\n\n"
                      "< 250 2.0.0 queued as ID1\n"
                      "> QUIT\n< 221 2.0.0\n< closed") == kAsExpected);
    REQUIRE(player.queue.committed() == 1);
    const auto& message = player.queue.messages.at("ID1");
    CHECK(message.envelope.sender() == "admin@anything.other.org");
    REQUIRE(message.envelope.recipients_size() == 1);
    CHECK(message.envelope.recipients(0).address() == "john.smith@local.test");
    CHECK(message.envelope.protocol() == "SMTP");
    CHECK(message.envelope.helo() == "anything.other.org");
    CHECK(message.envelope.client_address() == "192.0.2.7");
    CHECK(message.content.starts_with("Received: from anything.other.org ([192.0.2.7])\r\n\tby mx.test"));
    CHECK(message.content.find("with SMTP id ID1\r\n\tfor <john.smith@local.test>;") != std::string::npos);
    CHECK(message.content.ends_with("+0000\r\nDate: Tue, Mar 09 2004\r\nSubject: Test\r\n\r\n.dot\r\n"));
    CHECK(player.router.last_client.kind() == "smtp");
    CHECK(player.router.last_client.port() == 25);
}

TEST_CASE("the state machine of RFC 5321") {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"MAIL before HELO",
         "< 220\n> MAIL FROM:<a@b.test>\n< 503 5.5.1\n> RSET\n< 250\n> MAIL FROM:<a@b.test>\n< 503"},
        {"RCPT before MAIL", kGreeted + "> RCPT TO:<bob@local.test>\n< 503 5.5.1"},
        {"DATA before MAIL", kGreeted + "> DATA\n< 503 5.5.1"},
        {"DATA without recipient", kGreeted + "> MAIL FROM:<a@b.test>\n< 250\n> DATA\n< 554 5.5.1"},
        {"DATA with refused recipients only",
         kGreeted + "> MAIL FROM:<a@b.test>\n< 250\n> RCPT TO:<nobody@local.test>\n< 550 5.1.1\n> DATA\n< "
                    "554 5.5.1"},
        {"MAIL twice", kGreeted + "> MAIL FROM:<a@b.test>\n< 250\n> MAIL FROM:<c@b.test>\n< 503 5.5.1"},
        {"RCPT after refused MAIL",
         kGreeted + "> MAIL FROM:<bad@b.test>\n< 550 5.7.1\n> RCPT TO:<bob@local.test>\n< 503"},
        {"MAIL after deferred MAIL",
         kGreeted + "> MAIL FROM:<later@b.test>\n< 451 4.4.3\n> MAIL FROM:<a@b.test>\n< 250"},
        {"RSET ends the transaction",
         kGreeted + "> MAIL FROM:<a@b.test>\n< 250\n> RSET\n< 250 2.0.0\n> RCPT TO:<bob@local.test>\n< 503"},
        {"EHLO ends the transaction",
         kGreeted + "> MAIL FROM:<a@b.test>\n< 250\n> EHLO x.test\n< 250\n> RCPT TO:<bob@local.test>\n< 503"},
        {"VRFY changes nothing", kGreeted + "> MAIL FROM:<a@b.test>\n< 250\n> RCPT TO:<bob@local.test>\n< "
                                            "250\n> VRFY \xc3\xbc\n< 252 2.5.2\n"
                                            "> DATA\n< 354\n> .\n< 250"},
        {"nothing is left after a message",
         kGreeted + kMessage + "\n> RCPT TO:<bob@local.test>\n< 503\n> DATA\n< 503"},
        {"verbs without meaning here",
         kGreeted + "> EXPN x\n< 502 5.5.1\n> TURN\n< 502 5.5.1\n> STARTTLS\n< 502 5.5.1\n"
                    "> AUTH PLAIN\n< 502 5.5.1\n> ETRN a.test\n< 459 4.7.1"},
        {"unknown verb", kGreeted + "> JUNK\n< 500 5.5.1"},
        {"empty line", kGreeted + ">> \\r\\n\n< 500 5.5.2"},
        {"HELP and NOOP", kGreeted + "> NOOP x\n< 250 2.0.0\n> HELP\n< 214 2.0.0"},
        {"HELO without name", "< 220\n> HELO\n< 501 5.5.4\n> EHLO\n< 501 5.5.4\n> MAIL FROM:<a@b>\n< 503"},
        {"DATA with argument",
         kGreeted + "> MAIL FROM:<a@b.test>\n< 250\n> RCPT TO:<bob@local.test>\n< 250\n> DATA x\n< 501"},
        {"lower case",
         "< 220\n> ehlo a\n< 250\n> mail from:<a@b.test>\n< 250\n> rcpt to:<bob@local.test>\n< 250"},
    };
    for (const auto& [what, script] : cases) {
        INFO(what);
        Player player;
        CHECK(player.play(script + "\n> QUIT\n< 221 2.0.0\n< closed") == kAsExpected);
    }
}

TEST_CASE("the arguments of MAIL and RCPT") {
    struct Case {
        std::string command;
        std::string expected;
        std::string strict;  // where it differs
    };
    const std::vector<Case> cases = {
        {"MAIL FROM:<a@b.test>", "250 2.1.0", ""},
        {"MAIL FROM:<>", "250 2.1.0", ""},
        {"MAIL FROM:a@b.test", "250 2.1.0", "501 5.5.2"},
        {"MAIL FROM: <a@b.test>", "250 2.1.0", "501 5.5.2"},
        {"MAIL a@b.test", "501 5.5.2", ""},
        {"MAIL", "501 5.5.2", ""},
        {"MAIL FROM:<a@b.test", "553 5.1.7", "501 5.5.2"},
        {"MAIL FROM:<a@b@c.test>", "553 5.1.7", "501 5.5.2"},
        {"MAIL FROM:<a@b.test> SIZE=1000", "250 2.1.0", ""},
        {"MAIL FROM:<a@b.test> SIZE=52428800", "250 2.1.0", ""},
        {"MAIL FROM:<a@b.test> SIZE=52428801", "552 5.3.4", ""},
        {"MAIL FROM:<a@b.test> SIZE=99999999999999999999", "552 5.3.4", ""},
        {"MAIL FROM:<a@b.test> SIZE=123456789012345678901", "501 5.5.4", ""},
        {"MAIL FROM:<a@b.test> SIZE=abc", "501 5.5.4", ""},
        {"MAIL FROM:<a@b.test> SIZE=", "501 5.5.4", ""},
        {"MAIL FROM:<a@b.test> SIZE", "501 5.5.4", ""},
        {"MAIL FROM:<a@b.test> BODY=8BITMIME", "250 2.1.0", ""},
        {"MAIL FROM:<a@b.test> body=7bit size=5", "250 2.1.0", ""},
        {"MAIL FROM:<a@b.test> BODY=BINARY", "501 5.5.4", ""},
        {"MAIL FROM:<a@b.test> BODY=7BIT BODY=7BIT", "501 5.5.4", ""},
        {"MAIL FROM:<a@b.test> XUTF8", "555 5.5.4", ""},
        {"MAIL FROM:<\xc3\xbc@b.test>", "553 5.6.7", ""},
        {"RCPT TO:<bob@local.test>", "250 2.1.5", ""},
        {"RCPT TO:<@x.test,@y.test:bob@local.test>", "250 2.1.5", ""},
        {"RCPT TO:bob@local.test", "250 2.1.5", "501 5.5.2"},
        {"RCPT TO:<Postmaster>", "", ""},
        {"RCPT TO:<>", "553 5.1.3", "501 5.5.2"},
        {"RCPT TO:<nobody@local.test>", "550 5.1.1", ""},
        {"RCPT TO:<tomy@hotmail.com>", "550 5.7.1", ""},
        {"RCPT TO:<tomy@hotmail.com@local.test>", "553 5.1.3", "501 5.5.2"},
        {"RCPT TO:<bob@local.test> NEVER=1", "555 5.5.4", ""},
        {"RCPT TO:<bob\xc3\xbc@local.test>", "553 5.6.7", ""},
    };
    for (const Case& test : cases) {
        for (const bool strict : {false, true}) {
            INFO(test.command << (strict ? " (strict)" : ""));
            config::Settings settings = test::test_settings();
            settings.listeners.front().strict = strict;
            Player player(settings);
            const std::string before =
                test.command.starts_with("RCPT") ? "> MAIL FROM:<s@b.test>\n< 250\n" : "";
            const std::string expected = strict && !test.strict.empty() ? test.strict : test.expected;
            CHECK(player.play(fmt::format("{}{}> {}\n< {}\n> QUIT\n< 221", kGreeted, before, test.command,
                                          expected)) == kAsExpected);
        }
    }
}

TEST_CASE("pipelined commands are answered in order") {
    Player player;
    player.router.delay = Milliseconds(30);
    CHECK(player.play(kGreeted +
                      "> MAIL FROM:<a@b.test>\n> RCPT TO:<bob@local.test>\n> RCPT TO:<nobody@local.test>\n"
                      "> RCPT TO:<broken\n> RCPT TO:<carol@local.test>\n> DATA\n"
                      "< 250 2.1.0\n< 250 2.1.5\n< 550 5.1.1\n< 553\n< 250 2.1.5\n< 354\n"
                      "> text\n> .\n> MAIL FROM:<bad@b.test>\n> RCPT TO:<bob@local.test>\n> DATA\n"
                      "< 250 2.0.0\n< 550 5.7.1\n< 503 5.5.1\n< 503 5.5.1\n"
                      "> QUIT\n< 221\n< closed") == kAsExpected);
    CHECK(player.router.asked_at_once == 2);
    REQUIRE(player.queue.committed() == 1);
    CHECK(player.queue.messages.at("ID1").envelope.recipients_size() == 2);
    // The recipients of one message are not told of each other.
    CHECK(player.queue.messages.at("ID1").content.find("for <") == std::string::npos);
}

TEST_CASE("a recipient named twice is one recipient") {
    Player player;
    CHECK(
        player.play(kGreeted +
                    "> MAIL FROM:<a@b.test>\n> RCPT TO:<bob@local.test>\n> RCPT TO:<bob@LOCAL.test>\n> DATA\n"
                    "< 250\n< 250\n< 250\n< 354\n> .\n< 250") == kAsExpected);
    CHECK(player.queue.messages.at("ID1").envelope.recipients_size() == 1);
}

TEST_CASE("content that must be refused is read to its end, and the session goes on") {
    struct Case {
        std::string content;
        std::string expected;
    };
    const std::vector<Case> cases = {
        {"a\\n.\\nMAIL FROM:<evil@b.test>\\r\\nRCPT TO:<bob@local.test>\\r\\nDATA\\r\\n.\\r\\n",
         "550 5.6.11 bare LF"},
        {"a\\r.\\r\\nQUIT\\r\\n.\\r\\n", "550 5.6.11 bare CR"},
        {"a\\0\\r\\n.\\r\\n", "550 5.6.11 NUL"},
    };
    for (const Case& test : cases) {
        INFO(test.content);
        Player player;
        CHECK(player.play(
                  fmt::format("{}> MAIL FROM:<a@b.test>\n> RCPT TO:<bob@local.test>\n> DATA\n"
                              "< 250\n< 250\n< 354\n>> {}\n< {}\n> RCPT TO:<bob@local.test>\n< 503 5.5.1\n"
                              "{}2\n> QUIT\n< 221\n< closed",
                              kGreeted, test.content, test.expected, kMessage)) == kAsExpected);
        CHECK(player.queue.committed() == 1);
        CHECK(player.queue.messages.at("ID1").aborted);
        CHECK_FALSE(player.queue.messages.at("ID2").aborted);
    }
}

TEST_CASE("too large a message is refused behind its end") {
    config::Settings settings = test::test_settings();
    settings.limits.set(config::Limit::MaxMessageSize, std::uint64_t{64} * 1024);
    Player player(settings);
    std::string lines;
    for (int line = 0; line < 1100; ++line)
        lines += "> 012345678901234567890123456789012345678901234567890123456789\n";
    CHECK(player.play(kGreeted +
                      "> MAIL FROM:<a@b.test>\n> RCPT TO:<bob@local.test>\n> DATA\n< 250\n< 250\n< 354\n" +
                      lines + "> .\n< 552 5.3.4\n" + kMessage + "2") == kAsExpected);
    CHECK(player.queue.messages.at("ID1").aborted);
}

TEST_CASE("what the queue-manager cannot do is temporary") {
    const std::string transaction =
        "> MAIL FROM:<a@b.test>\n< 250\n> RCPT TO:<bob@local.test>\n< 250\n> DATA\n";
    SECTION("intake is closed") {
        Player player;
        player.queue.state = Intake{false, "Disk is filling up"};
        CHECK(player.play(
                  kGreeted +
                  "> MAIL FROM:<a@b.test>\n< 452 4.3.1 Disk\n> NOOP\n< 250\n> RSET\n< 250\n> QUIT\n< 221") ==
              kAsExpected);
    }
    SECTION("a message cannot be opened") {
        Player player;
        player.queue.open_error = Error(Severity::Temporary, "connection lost");
        CHECK(player.play(kGreeted + transaction +
                          "< 451 4.3.0\n> RCPT TO:<bob@local.test>\n< 503\n> QUIT\n< 221") == kAsExpected);
    }
    SECTION("the disk is full") {
        Player player;
        player.queue.full_disk = true;
        CHECK(player.play(kGreeted + transaction + "< 354\n> text\n> .\n< 452 4.3.1\n> NOOP\n< 250") ==
              kAsExpected);
        CHECK_FALSE(player.queue.messages.at("ID1").committed);
    }
    SECTION("the disk is full when the content shows to be large") {
        Player player;
        player.queue.full_disk = true;
        std::string content;
        for (int line = 0; line < 100; ++line)
            content += "> " + std::string(900, 'x') + "\n";
        CHECK(player.play(kGreeted + transaction + "< 354\n" + content + "> .\n< 452 4.3.1\n> NOOP\n< 250") ==
              kAsExpected);
        CHECK(player.queue.messages.at("ID1").aborted);
    }
    SECTION("there is no place for large content") {
        Player player;
        player.queue.content_error = Error(Severity::Temporary, "connection lost");
        std::string content;
        for (int line = 0; line < 100; ++line)
            content += "> " + std::string(900, 'x') + "\n";
        CHECK(player.play(kGreeted + transaction + "< 354\n" + content + "> .\n< 451 4.3.0\n> NOOP\n< 250") ==
              kAsExpected);
        CHECK(player.queue.messages.at("ID1").aborted);
    }
    SECTION("the commit fails") {
        Player player;
        player.queue.commit_error = Error(Severity::Temporary, "connection lost");
        CHECK(player.play(kGreeted + transaction + "< 354\n> text\n> .\n< 451 4.3.0\n> NOOP\n< 250") ==
              kAsExpected);
        CHECK(player.queue.committed() == 0);
    }
    SECTION("the commit is refused for good") {
        Player player;
        player.queue.commit_error = Error(Severity::Permanent, "never");
        CHECK(player.play(kGreeted + transaction + "< 354\n> text\n> .\n< 554 5.3.0\n> NOOP\n< 250") ==
              kAsExpected);
    }
}

TEST_CASE("without the router nothing is accepted and nothing refused for good") {
    Player player;
    player.router.reachable = false;
    CHECK(player.play("< 220\n> EHLO a.test\n< 250\n> MAIL FROM:<a@b.test>\n< 451 4.3.0\n> RCPT "
                      "TO:<bob@local.test>\n< 503") == kAsExpected);
    player.router.reachable = true;
    player.router.connect_questions = 0;
    CHECK(player.play(kGreeted + kMessage + "\n" + kMessage) == kAsExpected);
    // Asked once a session.
    CHECK(player.router.connect_questions == 1);
}

TEST_CASE("verdicts at connect") {
    SECTION("rejected: nothing but QUIT and HELP") {
        Player player;
        player.router.client.verdict = test::refusal(550, {5, 7, 1}, "We reject you", "policy:3");
        CHECK(player.play("< 554 5.7.1 We reject you\n> EHLO a.test\n< 503\n> MAIL FROM:<a@b.test>\n< 503\n> "
                          "VRFY x\n< 503\n"
                          "> HELP\n< 214\n> QUIT\n< 221\n< closed") == kAsExpected);
    }
    SECTION("deferred: closed") {
        Player player;
        player.router.client.verdict = test::refusal(450, {4, 7, 1}, "Later", "policy:3");
        CHECK(player.play("< 421 4.7.1 Later\n< closed") == kAsExpected);
    }
}

TEST_CASE("submission needs a login, or a client that may relay") {
    config::Settings settings = test::test_settings();
    settings.listeners.front().kind = config::ListenerKind::Submission;
    Player player(settings);
    CHECK(player.play(kGreeted + "> MAIL FROM:<a@b.test>\n< 530 5.7.0\n> NOOP\n< 250\n> QUIT\n< 221") ==
          kAsExpected);
    player.router.client.policy.set_relay(true);
    CHECK(player.play(kGreeted + kMessage) == kAsExpected);
}

TEST_CASE("limits of a transaction") {
    config::Settings settings = test::test_settings();
    settings.limits.set(config::Limit::MaxRecipients, 4);
    settings.limits.set(config::Limit::MaxNullRecipients, 2);
    Player player(settings);
    CHECK(player.play(kGreeted +
                      "> MAIL FROM:<a@b.test>\n> RCPT TO:<a@local.test>\n> RCPT TO:<b@local.test>\n"
                      "> RCPT TO:<c@local.test>\n> RCPT TO:<d@local.test>\n> RCPT TO:<e@local.test>\n"
                      "< 250\n< 250\n< 250\n< 250\n< 250\n< 452 4.5.3\n"
                      "> RSET\n< 250\n> MAIL FROM:<>\n> RCPT TO:<a@local.test>\n> RCPT TO:<b@local.test>\n> "
                      "RCPT TO:<c@local.test>\n"
                      "< 250\n< 250\n< 250\n< 452 4.5.3\n> DATA\n< 354\n> .\n< 250") == kAsExpected);
}

TEST_CASE("limits of a session") {
    SECTION("junk") {
        Player player;
        CHECK(
            player.play(
                kGreeted +
                "> X1\n< 500\n> X2\n< 500\n> X3\n< 500\n> X4\n< 500\n> X5\n< 500\n> X6\n< 500\n> X7\n< 500\n"
                "> X8\n< 421 4.7.0\n< closed") == kAsExpected);
    }
    SECTION("errors") {
        Player player;
        std::string script = kGreeted;
        for (int error = 0; error < 14; ++error)
            script += "> RCPT TO:<a@local.test>\n< 503\n";
        CHECK(player.play(script + "> DATA\n< 421 4.7.0\n< closed") == kAsExpected);
    }
    SECTION("pipelined errors end the group") {
        Player player;
        std::string commands = "> MAIL FROM:<a@b.test>\n";
        std::string answers = "< 250\n";
        for (int error = 0; error < 20; ++error)
            commands += "> RCPT TO:<nobody@local.test>\n";
        for (int error = 0; error < 14; ++error)
            answers += "< 550\n";
        CHECK(player.play(kGreeted + commands + answers + "< 421 4.7.0\n< closed") == kAsExpected);
    }
    SECTION("commands without mail") {
        config::Settings settings = test::test_settings();
        settings.limits.set(config::Limit::NonMailCommands, 3);
        Player player(settings);
        CHECK(player.play(kGreeted + "> NOOP\n< 250\n> NOOP\n< 250\n> NOOP\n< 421 4.7.0\n< closed") ==
              kAsExpected);
        CHECK(player.play(kGreeted + "> NOOP\n< 250\n> RSET\n< 250\n" + kMessage +
                          "\n> NOOP\n< 250\n> RSET\n< 250") == kAsExpected);
    }
    SECTION("messages") {
        config::Settings settings = test::test_settings();
        settings.limits.set(config::Limit::SessionMessages, 2);
        Player player(settings);
        CHECK(player.play(kGreeted + kMessage + "\n" + kMessage +
                          "\n> MAIL FROM:<a@b.test>\n< 421 4.7.0\n< closed") == kAsExpected);
    }
    SECTION("a line that is too long") {
        Player player;
        CHECK(player.play(kGreeted + "> NOOP " + std::string(5000, 'x') + "\n< 500 5.5.2\n> NOOP " +
                          std::string(100'000, 'x') + "\n< 500 5.5.2\n> NOOP\n< 250") == kAsExpected);
    }
    SECTION("lines that do not end as they must") {
        Player player;
        CHECK(player.play(kGreeted + ">> NOOP\\nRSET\\r\\n\n< 500 5.5.2\n< 250\n>> NO\\0OP\\r\\n\n< 500\n>> "
                                     "NO\\rOP\\r\\n\n< 500") == kAsExpected);
    }
    SECTION("errors are delayed") {
        config::Settings settings = test::test_settings();
        settings.limits.set(config::Limit::ErrorsBeforeDelay, 1);
        settings.limits.set(config::Limit::ErrorDelay, 200);
        settings.limits.set(config::Limit::ErrorDelayMax, 200);
        Player player(settings);
        const SteadyTime began = player.loop.now();
        CHECK(player.play(kGreeted + "> DATA\n< 503\n> DATA\n< 503") == kAsExpected);
        CHECK(player.loop.now() - began > Milliseconds(150));
    }
}

TEST_CASE("time-outs") {
    config::Settings settings = test::test_settings();
    settings.limits.set(config::Limit::CommandTimeoutBeforeRcpt, 1000);
    settings.limits.set(config::Limit::ReceiveIdleTimeout, 1000);
    Player player(settings);
    SECTION("before the next command") {
        CHECK(player.play(kGreeted + "< 421 4.4.2\n< closed") == kAsExpected);
    }
    SECTION("within a message") {
        CHECK(player.play(
                  kGreeted +
                  "> MAIL FROM:<a@b.test>\n> RCPT TO:<bob@local.test>\n> DATA\n< 250\n< 250\n< 354\n> text\n"
                  "< 421 4.4.2\n< closed") == kAsExpected);
        CHECK(player.queue.messages.at("ID1").aborted);
    }
}

TEST_CASE("a client that goes away leaves nothing behind") {
    Player player;
    CHECK(player.play(
              kGreeted +
              "> MAIL FROM:<a@b.test>\n> RCPT TO:<bob@local.test>\n> DATA\n< 250\n< 250\n< 354\n> text") ==
          kAsExpected);
    CHECK(player.queue.messages.at("ID1").aborted);
}

TEST_CASE("content that was sent without waiting is not taken for commands") {
    Player player;
    CHECK(player.play(kGreeted + "> MAIL FROM:<a@b.test>\n> DATA\n> RCPT TO:<bob@local.test>\n> .\n"
                                 "< 250\n< 554 5.5.1\n< 421 4.7.0\n< closed") == kAsExpected);
    // Where DATA is accepted it is what it looks like: the content.
    CHECK(player.play(kGreeted + "> MAIL FROM:<a@b.test>\n> RCPT TO:<bob@local.test>\n> DATA\n> QUIT\n> .\n"
                                 "< 250\n< 250\n< 354\n< 250 2.0.0\n> NOOP\n< 250") == kAsExpected);
}

TEST_CASE("browsers are not talked to") {
    for (const std::string line : {"GET / HTTP/1.1", "POST /x HTTP/1.0", "CONNECT a:25 HTTP/1.1"}) {
        Player player;
        CHECK(player.play("< 220\n> " + line + "\n> MAIL FROM:<a@b.test>\n< 554 5.5.1\n< closed") ==
              kAsExpected);
    }
    Player player;
    CHECK(player.play(kGreeted + "> GET / HTTP/1.1\n< 500") == kAsExpected);
}

TEST_CASE("shutting down lets a message be completed") {
    const std::string opened =
        "> MAIL FROM:<a@b.test>\n> RCPT TO:<bob@local.test>\n> DATA\n< 250\n< 250\n< 354\n";
    Player player;
    SECTION("idle") {
        CHECK(player.play(kGreeted + "! finish\n< 421 4.3.2\n< closed") == kAsExpected);
    }
    SECTION("in DATA") {
        CHECK(player.play(kGreeted + opened + "! finish\n> text\n> .\n< 250 2.0.0\n< 421 4.3.2\n< closed") ==
              kAsExpected);
        CHECK(player.queue.committed() == 1);
    }
}

}  // namespace postrider::smtpd
