#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "tests/unit/smtpd/player.h"

// What has broken other servers. Each case ends with a session that is alive and in step.
namespace postrider::smtpd {

using test::kAsExpected;
using test::Player;

namespace {

const std::string kHello = "< 220\n> EHLO a.test\n< 250\n";
const std::string kEnvelope = "> MAIL FROM:<a@b.test>\n< 250\n> RCPT TO:<x@local.test>\n< 250\n";
const std::string kAlive = "> NOOP\n< 250\n> QUIT\n< 221";

}  // namespace

TEST_CASE("a refusal at the end of the content ends the transaction, too") {
    for (const std::string content : {"a\\nb\\r\\n.\\r\\n", "a\\0b\\r\\n.\\r\\n"}) {
        Player player;
        CHECK(player.play(kHello + kEnvelope + "> DATA\n< 354\n>> " + content +
                          "\n< 550\n> RCPT TO:<y@local.test>\n< 503\n> DATA\n< 503\n" + kAlive) ==
              kAsExpected);
        CHECK(player.queue.committed() == 0);
    }
    Player chunks;
    CHECK(chunks.play(kHello + kEnvelope +
                      ">> BDAT 3 LAST\\r\\na\\nb\n< 550\n> RCPT TO:<y@local.test>\n< 503\n> DATA\n< 503\n" +
                      kAlive) == kAsExpected);
    CHECK(chunks.queue.committed() == 0);
}

TEST_CASE("VRFY with an address beyond ASCII leaves the transaction as it is") {
    Player player;
    player.router.client.policy.set_vrfy(true);
    CHECK(player.play(kHello + kEnvelope +
                      "> VRFY j\xc3\xb6rg\n< 553 5.6.7\n> VRFY j\xc3\xb6rg SMTPUTF8\n< 250 2.1.5 "
                      "<j\xc3\xb6rg@\n> DATA\n< 354\n>> A: b\\r\\n.\\r\\n\n< 250\n" +
                      kAlive) == kAsExpected);
    CHECK(player.queue.committed() == 1);
    REQUIRE(player.queue.messages.at("ID1").envelope.recipients_size() == 1);
}

TEST_CASE("lines that look like those of an mbox count for the size, as all content does") {
    Player player;
    player.settings.limits.set(config::Limit::MaxMessageSize, std::uint64_t{64} * 1024);
    std::string content;
    while (content.size() <= std::size_t{64} * 1024 * 2)
        content += "From somebody@example.org Sat Nov 21 12:00:00 2026\\r\\n";
    CHECK(player.play(kHello + kEnvelope + "> DATA\n< 354\n>> " + content + ".\\r\\n\n< 552 5.3.4\n" +
                      kAlive) == kAsExpected);
    CHECK(player.queue.committed() == 0);
}

TEST_CASE("an encoded NUL or line break in DSN parameters is refused") {
    for (const std::string octet : {"+00", "+0A", "+0D", "+7F"}) {
        Player player;
        CHECK(player.play(kHello + "> MAIL FROM:<a@b.test> ENVID=a" + octet +
                          "b\n< 501\n> MAIL FROM:<a@b.test>\n< 250\n> RCPT TO:<x@local.test> ORCPT=rfc822;a" +
                          octet + "b\n< 501\n" + kAlive) == kAsExpected);
    }
}

TEST_CASE("many tiny chunks are no more than there may be") {
    Player player;
    player.settings.limits.set(config::Limit::BdatChunks, 1000);
    std::string chunks;
    std::string replies;
    for (int i = 0; i < 1000; ++i) {
        chunks += i % 2 == 0 ? "BDAT 1\\r\\n\\r" : "BDAT 1\\r\\n\\n";
        replies += "< 250\n";
    }
    CHECK(player.play(kHello + kEnvelope + ">> " + chunks + "\n" + replies +
                      ">> BDAT 1\\r\\nx\n< 554 5.5.1\n>> BDAT 1 LAST\\r\\nx\n< 503\n" + kAlive) ==
          kAsExpected);
    CHECK(player.queue.committed() == 0);
}

}  // namespace postrider::smtpd
