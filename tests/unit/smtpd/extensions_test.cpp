// Sessions that use extensions of SMTP.

#include <catch2/catch.hpp>

#include "tests/unit/smtpd/player.h"

namespace postrider::smtpd {

namespace {

using test::kAsExpected;
using test::Player;

config::Settings submission_settings() {
    config::Settings settings = test::test_settings();
    settings.listeners.front().kind = config::ListenerKind::Submission;
    return settings;
}

}  // namespace

TEST_CASE("EHLO offers what there is") {
    Player player;
    player.logins.offered = {"PLAIN"};
    CHECK(player.play("< 220\n> EHLO a.test\n< 250-mx.test\n> QUIT\n< 221") == kAsExpected);
    const std::string reply = player.replies.at(1);
    for (const std::string line :
         {"PIPELINING", "SIZE 52428800", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8", "DSN", "CHUNKING",
          "BINARYMIME", "LIMITS MAILMAX=100 RCPTMAX=1000", "HELP"})
        CHECK(reply.find(line) != std::string::npos);
    // Not in clear text, not without a certificate, not without a right to it.
    for (const std::string line : {"AUTH", "STARTTLS", "VRFY", "EXPN"})
        CHECK(reply.find(line) == std::string::npos);
}

TEST_CASE("what is hidden is neither offered nor obeyed") {
    Player player;
    auto& policy = player.router.client.policy;
    for (const auto extension : {wire::SessionPolicy::PIPELINING, wire::SessionPolicy::DSN,
                                 wire::SessionPolicy::ETRN, wire::SessionPolicy::CHUNKING})
        policy.add_hidden(extension);
    policy.set_etrn(true);
    CHECK(player.play("< 220\n> EHLO a.test\n< 250\n> ETRN remote.test\n< 502 5.5.1\n"
                      "> MAIL FROM:<a@b.test>\n< 250\n> RCPT TO:<x@local.test> NOTIFY=NEVER\n< 555 5.5.4\n"
                      "> BDAT 3\n>> abc\n< 502 5.5.1\n> NOOP\n< 250\n> QUIT\n< 221") == kAsExpected);
    for (const std::string line : {"PIPELINING", "DSN", "ETRN", "CHUNKING", "BINARYMIME"})
        CHECK(player.replies.at(1).find(line) == std::string::npos);
    player.router.client.policy.add_hidden(wire::SessionPolicy::EHLO);
    CHECK(player.play("< 220\n> EHLO a.test\n< 502\n> HELO a.test\n< 250\n> QUIT\n< 221") == kAsExpected);
}

TEST_CASE("a message in chunks") {
    Player player;
    CHECK(player.play(
              "< 220\n> EHLO a.test\n< 250\n> MAIL FROM:<a@b.test> BODY=8BITMIME\n< 250\n"
              "> RCPT TO:<x@local.test>\n< 250\n>> BDAT 8\\r\\nA: b\\r\\n\\r\\n\n< 250 2.0.0 8 octets\n"
              ">> BDAT 0\\r\\nBDAT 4 LAST\\r\\n.\\r\\nx\n< 250 2.0.0 0 octets\n< 250 2.0.0 queued as ID1\n"
              "> QUIT\n< 221") == kAsExpected);
    REQUIRE(player.queue.committed() == 1);
    CHECK(player.queue.messages.at("ID1").content.ends_with("\r\nA: b\r\n\r\n.\r\nx"));
}

TEST_CASE("the octets behind BDAT are never commands") {
    Player player;
    CHECK(player.play("< 220\n> EHLO a.test\n< 250\n>> BDAT 6 LAST\\r\\nQUIT\\r\\n\n< 503 5.5.1\n"
                      "> MAIL FROM:<a@b.test>\n< 250\n>> BDAT 6\\r\\nQUIT\\r\\n\n< 554 5.5.1\n> NOOP\n< 250\n"
                      "> BDAT nonsense\n< 501 5.5.4\n> DATA\n< 503\n> QUIT\n< 221") == kAsExpected);
    CHECK(player.queue.messages.empty());
}

TEST_CASE("a chunk too many ends the message, and the session stays in step") {
    config::Settings settings = test::test_settings();
    settings.limits.set(config::Limit::BdatChunks, 2);
    settings.limits.set(config::Limit::MaxMessageSize, std::uint64_t{64} * 1024);
    Player player(settings);
    const std::string begin = "> MAIL FROM:<a@b.test>\n< 250\n> RCPT TO:<x@local.test>\n< 250\n";
    CHECK(player.play("< 220\n> EHLO a.test\n< 250\n" + begin +
                      ">> BDAT 1\\r\\naBDAT 1\\r\\naBDAT 1\\r\\na\n< 250\n< 250\n< 554 5.5.1\n"
                      ">> BDAT 1 LAST\\r\\na\n< 503\n" +
                      begin + ">> BDAT 65537\\r\\n" + std::string(65537, 'x') + "\n< 552 5.3.4\n" + begin +
                      ">> BDAT 3\\r\\na\\nb\n< 550 5.6.11\n> RSET\n< 250\n> QUIT\n< 221") == kAsExpected);
    CHECK(player.queue.committed() == 0);
    for (const auto& [id, message] : player.queue.messages)
        CHECK(message.aborted);
}

TEST_CASE("a command that does not belong between chunks ends the message, and no chunk is taken any more") {
    for (const std::string command : {"MAIL FROM:<c@d.test>", "RCPT TO:<y@local.test>", "DATA"}) {
        Player player;
        CHECK(player.play("< 220\n> EHLO a.test\n< 250\n> MAIL FROM:<a@b.test>\n< 250\n"
                          "> RCPT TO:<x@local.test>\n< 250\n>> BDAT 1\\r\\na\n< 250\n> " +
                          command + "\n< 503 5.5.1\n>> BDAT 6 LAST\\r\\nQUIT\\r\\n\n< 503\n> QUIT\n< 221") ==
              kAsExpected);
        CHECK(player.queue.committed() == 0);
        CHECK(player.queue.messages.at("ID1").aborted);
    }
}

TEST_CASE("behind a refused line that may announce content nothing is obeyed") {
    for (const std::string line :
         {"BDAT +6 LAST\\r\\n", "BDAT -1\\r\\n", "BDAT 0x6 LAST\\r\\n",
          "BDAT 18446744073709551622 LAST\\r\\n", "BDAT 6LAST\\r\\n", "BDAT\\r\\n", "BDAT 6 LAST\\n",
          "BDAT 6 LAST\\r\\r\\n", "BDAT 6\\0 LAST\\r\\n", " BDAT 6 LAST\\r\\n", "DATA\\n", "DATA\\0\\r\\n",
          " data\\r\\n", "DATA x\\r\\n", "NOOP\\rBDAT 6 LAST\\r\\n", "DATA\\rSubject: x\\r\\n"}) {
        CAPTURE(line);
        Player player;
        CHECK(
            player.play("< 220\n> EHLO a.test\n< 250\n> MAIL FROM:<a@b.test>\n< 250\n"
                        "> RCPT TO:<x@local.test>\n< 250\n>> " +
                        line +
                        "\n< 50\n> RSET\n< 503\n> MAIL FROM:<c@d.test>\n< 503\n> RCPT TO:<x@local.test>\n"
                        "< 503\n> DATA\n< 503\n> BDAT 0 LAST\n< 503\n> EHLO a.test\n< 503\n> QUIT\n< 221") ==
            kAsExpected);
        CHECK(player.queue.committed() == 0);
    }
}

TEST_CASE("RSET, EHLO and hanging up drop the chunks") {
    for (const std::string ending : {"> RSET\n< 250\n", "> EHLO a.test\n< 250\n", "> QUIT\n< 221\n", ""}) {
        Player player;
        CHECK(player.play("< 220\n> EHLO a.test\n< 250\n> MAIL FROM:<a@b.test>\n< 250\n"
                          "> RCPT TO:<x@local.test>\n< 250\n>> BDAT 1\\r\\na\n< 250\n" +
                          ending) == kAsExpected);
        CHECK(player.queue.messages.at("ID1").aborted);
    }
}

TEST_CASE("BINARYMIME takes BDAT and any octets") {
    Player player;
    CHECK(
        player.play("< 220\n> EHLO a.test\n< 250\n> MAIL FROM:<a@b.test> BODY=BINARYMIME\n< 250\n"
                    "> RCPT TO:<x@local.test>\n< 250\n> DATA\n< 503\n"
                    ">> BDAT 12 LAST\\r\\nA: b\\r\\n\\r\\n\\0\\n\\r\\0\n< 250 2.0.0 queued\n> QUIT\n< 221") ==
        kAsExpected);
    CHECK(player.queue.messages.at("ID1").envelope.body() == wire::Envelope::BINARYMIME);
}

TEST_CASE("addresses beyond ASCII take SMTPUTF8") {
    Player player;
    CHECK(
        player.play("< 220\n> EHLO a.test\n< 250\n> MAIL FROM:<jos\xc3\xa9@b.test>\n< 553 5.6.7\n"
                    "> MAIL FROM:<a@b.test>\n< 250\n> RCPT TO:<jos\xc3\xa9@local.test>\n< 553 5.6.7\n> RSET\n"
                    "< 250\n> MAIL FROM:<jos\xc3\xa9@b.test> SMTPUTF8\n< 250\n"
                    "> RCPT TO:<jos\xc3\xa9@local.test>\n< 250\n> VRFY jos\xc3\xa9\n< 252\n> DATA\n< 354\n"
                    ">> Subject: \xc3\xa9\\r\\n\\r\\n.\\r\\n\n< 250\n> QUIT\n< 221") == kAsExpected);
    const auto& message = player.queue.messages.at("ID1");
    CHECK(message.envelope.smtputf8());
    CHECK(message.envelope.recipients(0).address() == "jos\xc3\xa9@local.test");
    CHECK(message.content.find("with UTF8SMTP id") != std::string::npos);
}

TEST_CASE("what the client wants to hear of the delivery goes into the envelope") {
    Player player;
    CHECK(player.play("< 220\n> EHLO a.test\n< 250\n> MAIL FROM:<a@b.test> RET=HDRS ENVID=x+3Dy\n< 250\n"
                      "> RCPT TO:<x@local.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;old@o.test\n< 250\n"
                      "> DATA\n< 354\n>> a\\r\\n.\\r\\n\n< 250\n> QUIT\n< 221") == kAsExpected);
    const wire::Envelope& envelope = player.queue.messages.at("ID1").envelope;
    CHECK(envelope.ret() == 2);
    CHECK(envelope.envid() == "x=y");
    CHECK(envelope.recipients(0).notify() == 10);
    CHECK(envelope.recipients(0).orcpt() == "rfc822;old@o.test");
}

TEST_CASE("STARTTLS without EHLO") {
    Player player;
    player.tls.available = true;
    CHECK(
        player.play("< 220\n> STARTTLS\n< 220 2.0.0\n> MAIL FROM:<a@b.test>\n< 503\n> EHLO a.test\n< 250") ==
        kAsExpected);
    player.settings.listeners.front().strict = true;
    CHECK(player.play("< 220\n> STARTTLS\n< 503 5.5.1") == kAsExpected);
}

TEST_CASE("STARTTLS begins the session anew and forgets what came in clear text") {
    Player player;
    player.tls.available = true;
    player.logins.offered = {"PLAIN"};
    player.settings.listeners.front().auth = config::ListenerAuth::Encrypted;
    CHECK(player.play(
              "< 220\n> EHLO a.test\n< 250\n> AUTH PLAIN\n< 538 5.7.11\n"
              "> STARTTLS now\n< 501\n>> STARTTLS\\r\\nMAIL FROM:<injected@evil.test>\\r\\n\n< 220 2.0.0\n"
              "> MAIL FROM:<a@b.test>\n< 503\n> EHLO a.test\n< 250\n> STARTTLS\n< 503\n"
              "> MAIL FROM:<a@b.test>\n< 250\n> RCPT TO:<x@local.test>\n< 250\n> DATA\n< 354\n"
              ">> a\\r\\n.\\r\\n\n< 250\n> QUIT\n< 221") == kAsExpected);
    CHECK(player.tls.handshakes == 1);
    CHECK(player.replies.at(1).find("STARTTLS") != std::string::npos);
    CHECK(player.replies.at(1).find("AUTH") == std::string::npos);
    CHECK(player.replies.at(6).find("STARTTLS") == std::string::npos);
    CHECK(player.replies.at(6).find("AUTH PLAIN") != std::string::npos);
    CHECK(player.queue.messages.at("ID1").content.find("with ESMTPS id ID1\r\n\t(TLSv1.3 NONE)") !=
          std::string::npos);
    CHECK(player.router.last_client.tls());
}

TEST_CASE("mail takes encryption and a login where they are required") {
    Player player(submission_settings());
    player.tls.available = true;
    player.settings.listeners.front().tls = config::ListenerTls::Require;
    CHECK(player.play(
              "< 220\n> EHLO a.test\n< 250\n> NOOP\n< 250\n> MAIL FROM:<a@b.test>\n< 530 5.7.0 STARTTLS\n"
              "> STARTTLS\n< 220\n> EHLO a.test\n< 250\n> MAIL FROM:<a@b.test>\n< 530 5.7.0 Auth\n"
              "> RSET\n< 250\n> ETRN b.test\n< 502\n> QUIT\n< 221") == kAsExpected);
}

TEST_CASE("AUTH") {
    Player player(submission_settings());
    player.settings.listeners.front().auth = config::ListenerAuth::Always;
    player.logins.offered = {"PLAIN", "LOGIN"};
    player.router.client.policy.set_relay(false);
    CHECK(player.play("< 220\n> AUTH PLAIN AGpkb2UAc2VjcmV0\n< 503\n> EHLO a.test\n< 250\n> AUTH\n< 501\n"
                      "> AUTH CRAM-MD5\n< 504 5.5.4\n> AUTH PLAIN *bad*\n< 501 5.5.2\n> QUIT\n< 221") ==
          kAsExpected);
    CHECK(player.play("< 220\n> EHLO a.test\n< 250\n> AUTH LOGIN\n< 334 VXNlcm5hbWU6\n> amRvZQ==\n"
                      "< 334 UGFzc3dvcmQ6\n> *\n< 501 5.7.0\n> AUTH LOGIN amRvZQ==\n< 334 UGFzc3dvcmQ6\n"
                      "> d3Jvbmc=\n< 535 5.7.8\n> AUTH PLAIN\n< 334 \n> AGpkb2UAc2VjcmV0\n< 235 2.7.0\n"
                      "> AUTH PLAIN AGpkb2UAc2VjcmV0\n< 503 5.5.1\n> MAIL FROM:<jdoe@local.test>\n< 250\n"
                      "> RCPT TO:<x@local.test>\n< 250\n> DATA\n< 354\n>> A: b\\r\\n\\r\\n.\\r\\n\n< 250\n> "
                      "QUIT\n< 221") == kAsExpected);
    CHECK(player.logins.cancelled == 1);
    const auto& message = player.queue.messages.at("ID1");
    CHECK(message.envelope.login() == "jdoe");
    CHECK(message.content.find("with ESMTPA id") != std::string::npos);
    CHECK(message.content.find("\r\nMessage-ID: <ID1@mx.test>\r\n\r\n") != std::string::npos);
    CHECK(player.router.last_client.login() == "jdoe");
}

TEST_CASE("too many attempts to log in end the session") {
    Player player(submission_settings());
    player.settings.listeners.front().auth = config::ListenerAuth::Always;
    player.logins.offered = {"PLAIN"};
    const std::string wrong = "> AUTH PLAIN AGpkb2UAd3Jvbmc=\n";
    CHECK(player.play("< 220\n> EHLO a.test\n< 250\n" + wrong + "< 535\n" + wrong + "< 535\n" + wrong +
                      "< 535\n" + wrong + "< 421 4.7.0\n< closed") == kAsExpected);
    player.logins.refusal = wire::AuthOutcome::UNAVAILABLE;
    CHECK(player.play("< 220\n> EHLO a.test\n< 250\n" + wrong + "< 454 4.7.0\n> QUIT\n< 221") == kAsExpected);
    // Nor is it waited for without end.
    player.settings.limits.set(config::Limit::AuthTimeout, 50);
    CHECK(player.play("< 220\n> EHLO a.test\n< 250\n> AUTH PLAIN\n< 334\n< 421\n< closed") == kAsExpected);
    player.settings.limits.set(config::Limit::AuthTimeout, 120'000);
    // Nothing in an endless line is a command.
    CHECK(player.play("< 220\n> EHLO a.test\n< 250\n> AUTH PLAIN\n< 334\n> " + std::string(13'000, 'x') +
                      "\n< 500 5.5.6\n< closed") == kAsExpected);
}

TEST_CASE("VRFY and EXPN") {
    Player player;
    CHECK(player.play("< 220\n> VRFY alice\n< 252 2.5.2\n> VRFY nobody\n< 252 2.5.2\n> VRFY\n< 501\n"
                      "> EXPN list\n< 502 5.5.1\n> QUIT\n< 221") == kAsExpected);
    player.router.client.policy.set_vrfy(true);
    player.router.client.policy.set_expn(true);
    CHECK(player.play("< 220\n> VRFY alice\n< 250 2.1.5 <alice@local.test>\n> VRFY nobody\n< 550 5.1.1\n"
                      "> EXPN list\n< 250-2.1.5 <list@local.test>\n> QUIT\n< 221") == kAsExpected);
}

TEST_CASE("HELP says what the administrator wants said") {
    Player player;
    player.settings.help_text = {"Ask postmaster@mx.test"};
    player.settings.reject_footer = "See https://mx.test/";
    CHECK(player.play(
              "< 220\n> HELP\n< 214-2.0.0 Ask postmaster@mx.test\n> XYZZY\n< 500-5.5.1\n> QUIT\n< 221") ==
          kAsExpected);
    CHECK(player.replies.at(2).ends_with("500 5.5.1 See https://mx.test/"));
}

TEST_CASE("replies of a single line, but to EHLO, however it is written") {
    Player player;
    player.settings.help_text = {"Ask postmaster@mx.test"};
    player.router.client.policy.set_single_line_replies(true);
    CHECK(player.play("< 220\n> ehlo a.test\n< 250-mx.test\n> HELP\n< 214 2.0.0 Ask\n> QUIT\n< 221") ==
          kAsExpected);
}

TEST_CASE("ETRN") {
    Player player;
    player.settings.etrn = config::EtrnAccess::Granted;
    CHECK(player.play("< 220\n> EHLO a.test\n< 250\n> ETRN b.test\n< 502 5.5.1\n> QUIT\n< 221") ==
          kAsExpected);
    player.router.client.policy.set_etrn(true);
    CHECK(player.play(
              "< 220\n> ETRN b.test\n< 503\n> EHLO a.test\n< 250\n> ETRN\n< 501 5.5.4\n> ETRN #q1\n< 458\n"
              "> ETRN [192.0.2.1]\n< 501\n> ETRN b..test\n< 501\n> ETRN B.test\n< 251 2.0.0\n"
              "> MAIL FROM:<a@b.test>\n< 250\n> ETRN b.test\n< 503\n> QUIT\n< 221") == kAsExpected);
    player.queue.waiting.messages = 3;
    player.router.client.policy.add_etrn_domains(".dial.test");
    CHECK(player.play("< 220\n> EHLO a.test\n< 250\n> ETRN @x.dial.test\n< 253 2.0.0 3 pending\n"
                      "> ETRN b.test\n< 459 4.7.1\n> QUIT\n< 221") == kAsExpected);
    CHECK(player.queue.started == std::vector<std::string>{"b.test", "@x.dial.test"});
    player.settings.etrn = config::EtrnAccess::Off;
    CHECK(player.play("< 220\n> EHLO a.test\n< 250\n> ETRN x.dial.test\n< 502 5.5.1\n> QUIT\n< 221") ==
          kAsExpected);
    CHECK(player.replies.at(1).find("ETRN") == std::string::npos);
}

TEST_CASE("ETRN of hosts that the mail goes to, as the router says") {
    Player player;
    player.queue.waiting.messages = 1;
    CHECK(player.play("< 220\n> EHLO a.test\n< 250\n> ETRN mine.test\n< 253 2.0.0 1 pending\n"
                      "> ETRN other.test\n< 459 4.7.1\n> ETRN unclear.test\n< 458 4.4.3\n> QUIT\n< 221") ==
          kAsExpected);
    CHECK(player.replies.at(1).find("ETRN") != std::string::npos);
    CHECK(player.queue.started == std::vector<std::string>{"mine.test"});
    // What the policy grants is not asked for; the rest is.
    player.router.client.policy.set_etrn(true);
    player.router.client.policy.add_etrn_domains("other.test");
    CHECK(player.play("< 220\n> EHLO a.test\n< 250\n> ETRN other.test\n< 253\n> ETRN mine.test\n< 253\n"
                      "> ETRN third.test\n< 459\n> QUIT\n< 221") == kAsExpected);
    player.router.client.policy.Clear();
    player.settings.listeners.front().kind = config::ListenerKind::Submission;
    CHECK(player.play("< 220\n> EHLO a.test\n< 250\n> ETRN mine.test\n< 502 5.5.1\n> QUIT\n< 221") ==
          kAsExpected);
}

TEST_CASE("what has become of an ETRN") {
    Player player;
    player.router.client.policy.set_etrn(true);
    struct Row {
        StartedQueue started;
        std::string reply;
    };
    for (const Row& row :
         std::vector<Row>{{{0, false, Seconds(0)}, "251 2.0.0"},
                          {{2, false, Seconds(0)}, "253 2.0.0 2 pending messages for b.test"},
                          {{0, true, Seconds(0)}, "250 2.0.0"},
                          {{2, true, Seconds(0)}, "252 2.0.0"},
                          {{0, false, Seconds(17)}, "458 4.7.0 Mail for b.test was just"}}) {
        player.queue.waiting = row.started;
        CHECK(player.play("< 220\n> EHLO a.test\n< 250\n> ETRN b.test\n< " + row.reply + "\n> QUIT\n< 221") ==
              kAsExpected);
    }
}

TEST_CASE("limits that the router sets for a client") {
    Player player;
    auto& policy = player.router.client.policy;
    policy.set_max_message_size(1'048'576);
    policy.set_max_recipients(1);
    policy.set_fully_qualified(true);
    CHECK(
        player.play("< 220\n> EHLO a.test\n< 250\n> MAIL FROM:<a@b.test> SIZE=1048577\n< 552 5.3.4\n"
                    "> MAIL FROM:<a@b.test> SIZE=1048576\n< 250\n> RCPT TO:<alice>\n< 501\n"
                    "> RCPT TO:<x@local.test>\n< 250\n> RCPT TO:<y@local.test>\n< 452 4.5.3\n> RSET\n< 250\n"
                    "> MAIL FROM:<alice>\n< 501\n> MAIL FROM:<>\n< 250\n> RCPT TO:<postmaster>\n< 250\n> "
                    "QUIT\n< 221") == kAsExpected);
    CHECK(player.replies.at(1).find("SIZE 1048576\n") != std::string::npos);
    CHECK(player.replies.at(1).find("RCPTMAX=1") != std::string::npos);
    player.sessions_of_client = 11;
    policy.set_max_connections(10);
    CHECK(player.play("< 421 4.7.0\n< closed") == kAsExpected);
    policy.set_max_connections(0);  // 20 in general
    CHECK(player.play("< 220\n> QUIT\n< 221") == kAsExpected);
}

TEST_CASE("T36 what the recipients of one message become together is bounded") {
    Player player;
    player.router.list_size = 600;
    CHECK(player.play("< 220\n> EHLO a.test\n< 250\n> MAIL FROM:<a@b.test>\n< 250\n"
                      "> RCPT TO:<list1@local.test>\n< 250\n> RCPT TO:<list2@local.test>\n< 452 4.5.3\n"
                      "> RCPT TO:<list1@local.test>\n< 250\n> RCPT TO:<alice@local.test>\n< 250\n"
                      "> MAIL FROM:<a@b.test>\n< 503\n> RSET\n< 250\n> MAIL FROM:<a@b.test>\n< 250\n"
                      "> RCPT TO:<list2@local.test>\n< 250\n> QUIT\n< 221") == kAsExpected);
    player.router.list_size = 500;
    CHECK(player.play("< 220\n> EHLO a.test\n< 250\n> MAIL FROM:<a@b.test>\n< 250\n"
                      "> RCPT TO:<list1@local.test>\n< 250\n> RCPT TO:<list2@local.test>\n< 250\n"
                      "> RCPT TO:<alice@local.test>\n< 452 4.5.3\n> QUIT\n< 221") == kAsExpected);
}

TEST_CASE("a client that nobody knows yet has to wait for its greeting") {
    struct Case {
        std::string what;
        bool new_client;
        std::string script;
    };
    const std::vector<Case> cases = {
        {"it waits", true, "< 220\n> EHLO a.test\n< 250\n> QUIT\n< 221\n< closed"},
        {"it talks", true, "> EHLO a.test\n< 554 5.5.1\n< closed"},
        {"it talks HTTP", true, ">> GET / HTTP/1.1\\r\\n\\r\\n\n< 554 5.5.1\n< closed"},
        {"it begins TLS", true, ">> \\x16\\x03\\x01\n< 554 5.5.1\n< closed"},
        {"the suite stops", true, "! finish\n< 421 4.3.2\n< closed"},
        {"it is known", false, "> EHLO a.test\n< 220\n< 250\n> QUIT\n< 221"},
    };
    for (const Case& test : cases) {
        INFO(test.what);
        Player player;
        // Who talks does so long before the end of the wait.
        player.settings.limits.set(config::Limit::GreetWait, test.what == "it waits" ? 50 : 30'000);
        player.router.client.new_client = test.new_client;
        CHECK(player.play(test.script) == kAsExpected);
        CHECK(player.router.sessions_begun == 1);
    }
    Player submission;
    submission.settings.limits.set(config::Limit::GreetWait, 50);
    submission.settings.listeners.front().kind = config::ListenerKind::Submission;
    submission.router.client.new_client = true;
    CHECK(submission.play("> EHLO a.test\n< 220\n< 250") == kAsExpected);
}

TEST_CASE("a greeting that the router does not like") {
    Player player;
    player.router.client.ask_again_with_helo = true;
    CHECK(player.play("< 220\n> EHLO friend\n< 250\n> QUIT\n< 221") == kAsExpected);
    CHECK(player.router.last_client.helo() == "friend");
    player.router.refused_helo = "friend";
    CHECK(player.play("< 220\n> EHLO friend\n< 550 5.7.1\n> MAIL FROM:<a@b.test>\n< 503\n> EHLO a.test\n< "
                      "250\n> QUIT\n"
                      "< 221") == kAsExpected);
}

TEST_CASE("a client that hangs up is not waited for in a tarpit") {
    Player player;
    auto* tarpit = player.router.client.policy.mutable_tarpit();
    tarpit->set_first_ms(60'000);
    tarpit->set_most_ms(60'000);
    const SteadyTime began = player.loop.now();
    CHECK(player.play("< 220\n> XYZZY\n") == kAsExpected);
    CHECK(player.loop.now() - began < Seconds(10));
}

}  // namespace postrider::smtpd
