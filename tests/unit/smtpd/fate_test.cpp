// What the policy wants to become of a message that is accepted.

#include <catch2/catch.hpp>

#include "tests/unit/smtpd/player.h"

namespace postrider::smtpd {

namespace {

using test::kAsExpected;
using test::Player;

const std::string kMailFrom =
    "< 220\n> EHLO client.test\n< 250-mx.test\n> MAIL FROM:<a@client.test>\n< 250\n";
const std::string kContent =
    "> DATA\n< 354\n> Subject: hello\n>\n> body\n> .\n< 250 2.0.0 queued as ID1\n> QUIT\n< 221";

std::string rcpt(const std::string& local) {
    return "> RCPT TO:<" + local + "@local.test>\n< 250 2.1.5\n";
}

/// What the router says of trap@, void@ and small@.
void set_fates(test::FakeRouter& router) {
    router.accepted["trap@local.test"].fate = wire::Verdict::QUARANTINE;
    router.accepted["trap@local.test"].fate_rule = "policy:7";
    router.accepted["trap@local.test"].fate_reason = "recipient in quarantine";
    router.accepted["void@local.test"].fate = wire::Verdict::DISCARD;
    router.accepted["void@local.test"].fate_rule = "policy:8";
    router.accepted["small@local.test"].max_message_size = 20;
    router.accepted["small@local.test"].rule = "policy:9";
}

}  // namespace

TEST_CASE("one recipient in quarantine keeps back the whole message, and only this one") {
    Player player;
    set_fates(player.router);
    CHECK(player.play(kMailFrom + rcpt("bob") + rcpt("trap") + kContent) == kAsExpected);
    REQUIRE(player.queue.committed() == 1);
    const wire::Envelope& held = player.queue.messages.at("ID1").envelope;
    CHECK(held.recipients_size() == 2);
    CHECK(held.quarantine_rule() == "policy:7");
    CHECK(held.quarantine_reason() == "recipient in quarantine");
    // Neither the next message of the session nor one after RSET has anything of it.
    Player next;
    set_fates(next.router);
    CHECK(next.play(kMailFrom + rcpt("trap") + rcpt("void") +
                    "> RSET\n< 250\n> MAIL FROM:<a@client.test>\n< 250\n" + rcpt("bob") + kContent) ==
          kAsExpected);
    CHECK(next.queue.messages.at("ID1").envelope.quarantine_rule().empty());
    CHECK(next.queue.messages.at("ID1").envelope.recipients_size() == 1);
}

TEST_CASE("whether the sender is a stranger goes with his message, and with no other") {
    Player player;
    CHECK(player.play(
              "< 220\n> EHLO client.test\n< 250-mx.test\n> MAIL FROM:<stranger@client.test>\n< 250\n" +
              rcpt("bob") + kContent.substr(0, kContent.find("> QUIT")) +
              "> MAIL FROM:<a@client.test>\n< 250\n" + rcpt("bob") +
              "> DATA\n< 354\n> Subject: hello\n>\n> body\n> .\n< 250 2.0.0 queued as ID2\n> QUIT\n< 221") ==
          kAsExpected);
    REQUIRE(player.queue.committed() == 2);
    CHECK(player.queue.messages.at("ID1").envelope.stranger());
    CHECK_FALSE(player.queue.messages.at("ID2").envelope.stranger());
}

TEST_CASE("what nobody gets is acknowledged and never committed") {
    Player player;
    set_fates(player.router);
    CHECK(player.play(kMailFrom + rcpt("void") + rcpt("void") + kContent) == kAsExpected);
    CHECK(player.queue.committed() == 0);
    CHECK(player.queue.messages.at("ID1").aborted);
}

TEST_CASE("a recipient that is to be discarded is left out of the message for the others") {
    Player player;
    set_fates(player.router);
    CHECK(player.play(kMailFrom + rcpt("void") + rcpt("bob") + kContent) == kAsExpected);
    REQUIRE(player.queue.committed() == 1);
    const auto& message = player.queue.messages.at("ID1");
    REQUIRE(message.envelope.recipients_size() == 1);
    CHECK(message.envelope.recipients(0).address() == "bob@local.test");
    // The trace does not tell who else was named.
    CHECK(message.content.find("for <") == std::string::npos);
}

TEST_CASE("what is discarded is held to the same rules as what is not") {
    Player player;
    set_fates(player.router);
    player.queue.open_error = Error(Severity::Temporary, "4.3.1 insufficient system storage");
    CHECK(player.play(kMailFrom + rcpt("void") + "> DATA\n< 451") == kAsExpected);
    Player large;
    set_fates(large.router);
    large.settings.limits.set(config::Limit::MaxMessageSize, 100);
    CHECK(large.play(kMailFrom + rcpt("void") + "> DATA\n< 354\n> " + std::string(200, 'x') +
                     "\n> .\n< 552 5.3.4") == kAsExpected);
}

TEST_CASE("a recipient's own limit of size holds for what is announced, for DATA and for BDAT") {
    Player player;
    set_fates(player.router);
    const std::string greeted = "< 220\n> EHLO client.test\n< 250-mx.test\n";
    CHECK(player.play(
              greeted +
              "> MAIL FROM:<a@client.test> SIZE=21\n< 250\n> RCPT TO:<small@local.test>\n< 552 5.3.4\n" +
              rcpt("bob") +
              "> DATA\n< 354\n> Subject: more than twenty octets\n> .\n< 250\n"
              "> MAIL FROM:<a@client.test>\n< 250\n" +
              rcpt("bob") + rcpt("small") +
              "> DATA\n< 354\n> Subject: more than twenty octets\n> .\n< 552 5.3.4\n"
              "> MAIL FROM:<a@client.test>\n< 250\n" +
              rcpt("small") +
              ">> BDAT 21 LAST\\r\\n123456789012345678901\n< 552 5.3.4\n"
              "> MAIL FROM:<a@client.test>\n< 250\n" +
              rcpt("bob") + "> DATA\n< 354\n> Subject: more than twenty octets\n> .\n< 250") == kAsExpected);
}

}  // namespace postrider::smtpd
