#include "remote-delivery/judgement.h"

#include <catch2/catch.hpp>

#include "libcommon/mail/reply_parser.h"

namespace postrider::remote_delivery {
namespace {

using wire::DeliveryResult;

constexpr auto kDeferred = DeliveryResult::DEFERRED;
constexpr auto kFailed = DeliveryResult::FAILED;

mail::Reply reply(const std::string& line) {
    mail::ReplyParser parser;
    auto parsed = parser.feed(line);
    REQUIRE(parsed);
    REQUIRE(*parsed);
    return **parsed;
}

TEST_CASE("what is accepted") {
    CHECK(judge(Stage::Greeting, reply("220 mx.test ESMTP")).next == Next::Accepted);
    CHECK(judge(Stage::Ehlo, reply("250 mx.test")).next == Next::Accepted);
    CHECK(judge(Stage::Mail, reply("250 2.1.0 ok")).next == Next::Accepted);
    CHECK(judge(Stage::Rcpt, reply("250 ok")).next == Next::Accepted);
    CHECK(judge(Stage::Rcpt, reply("251 will forward")).next == Next::Accepted);
    CHECK(judge(Stage::Data, reply("354 go ahead")).next == Next::Accepted);
    CHECK(judge(Stage::Reset, reply("250 ok")).next == Next::Accepted);
}

TEST_CASE("the end of the message is what counts") {
    Judgement with_code = judge(Stage::FinalDot, reply("250 2.6.0 queued as 1234"));
    CHECK(with_code.outcome == DeliveryResult::RELAYED);
    CHECK(with_code.status == "2.6.0");
    CHECK(with_code.text == "250 2.6.0 queued as 1234");
    CHECK(judge(Stage::FinalDot, reply("250 ok")).status == "2.0.0");
}

TEST_CASE("what is refused") {
    struct Case {
        Stage stage;
        const char* line;
        Next next;
        DeliveryResult::Outcome outcome;
        const char* status;
    };
    const Case cases[] = {
        // Before MAIL nothing is said about the mail.
        {Stage::Greeting, "421 busy", Next::OtherHost, kDeferred, "4.3.2"},
        {Stage::Greeting, "554 no service here", Next::OtherHost, kDeferred, "4.0.0"},
        {Stage::Greeting, "554 5.7.1 you are listed", Next::OtherHost, kDeferred, "4.0.0"},
        {Stage::Greeting, "450 4.7.1 later", Next::OtherHost, kDeferred, "4.7.1"},
        {Stage::Ehlo, "550 who are you", Next::OtherHost, kDeferred, "4.0.0"},
        {Stage::Ehlo, "421 4.3.2 closing", Next::OtherHost, kDeferred, "4.3.2"},
        // MAIL
        {Stage::Mail, "451 later", Next::OtherHost, kDeferred, "4.3.0"},
        {Stage::Mail, "452 disk full", Next::OtherHost, kDeferred, "4.3.1"},
        {Stage::Mail, "552 too big", Next::Settled, kFailed, "5.3.4"},
        {Stage::Mail, "553 bad sender", Next::Settled, kFailed, "5.1.7"},
        {Stage::Mail, "530 5.7.0 Must issue a STARTTLS command first", Next::Settled, kFailed, "5.7.0"},
        {Stage::Mail, "501 syntax", Next::Settled, kFailed, "5.5.4"},
        // RCPT
        {Stage::Rcpt, "450 greylisted", Next::OtherHost, kDeferred, "4.2.0"},
        {Stage::Rcpt, "450 4.7.1 greylisted", Next::OtherHost, kDeferred, "4.7.1"},
        {Stage::Rcpt, "452 too many", Next::SameHostAgain, kDeferred, "4.5.3"},
        {Stage::Rcpt, "452 4.5.3 too many", Next::SameHostAgain, kDeferred, "4.5.3"},
        {Stage::Rcpt, "452 4.2.2 mailbox full", Next::OtherHost, kDeferred, "4.2.2"},
        {Stage::Rcpt, "552 too many", Next::SameHostAgain, kDeferred, "4.5.3"},
        {Stage::Rcpt, "552 5.2.2 mailbox full", Next::Settled, kFailed, "5.2.2"},
        {Stage::Rcpt, "550 5.1.1 no such user", Next::Settled, kFailed, "5.1.1"},
        {Stage::Rcpt, "550 no", Next::Settled, kFailed, "5.0.0"},
        {Stage::Rcpt, "553 bad address", Next::Settled, kFailed, "5.1.3"},
        {Stage::Rcpt, "556 no mail", Next::Settled, kFailed, "5.1.10"},
        {Stage::Rcpt, "421 closing", Next::OtherHost, kDeferred, "4.3.2"},
        // DATA
        {Stage::Data, "451 later", Next::OtherHost, kDeferred, "4.3.0"},
        {Stage::Data, "554 5.5.1 no valid recipients", Next::Settled, kFailed, "5.5.1"},
        // The end: another host could make a duplicate.
        {Stage::FinalDot, "451 4.7.0 scanner down", Next::Settled, kDeferred, "4.7.0"},
        {Stage::FinalDot, "421 closing", Next::Settled, kDeferred, "4.3.2"},
        {Stage::FinalDot, "554 spam", Next::Settled, kFailed, "5.0.0"},
        {Stage::FinalDot, "552 5.3.4 too big", Next::Settled, kFailed, "5.3.4"},
        // Replies that make no sense.
        {Stage::Rcpt, "354 go ahead", Next::OtherHost, kDeferred, "4.5.0"},
        {Stage::Data, "250 ok", Next::OtherHost, kDeferred, "4.5.0"},
        {Stage::FinalDot, "354 go ahead", Next::Settled, kDeferred, "4.5.0"},
    };
    for (const Case& entry : cases) {
        CAPTURE(doing(entry.stage), entry.line);
        Judgement judgement = judge(entry.stage, reply(entry.line));
        CHECK(judgement.next == entry.next);
        CHECK(judgement.outcome == entry.outcome);
        CHECK(judgement.status == entry.status);
        CHECK(judgement.text == entry.line);
    }
}

TEST_CASE("a lost connection defers") {
    CHECK(judge_failure(Stage::Connect, "refused").status == "4.4.1");
    CHECK(judge_failure(Stage::Connect, "refused").text == "refused");
    for (Stage stage :
         {Stage::Greeting, Stage::Ehlo, Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Content}) {
        Judgement judgement = judge_failure(stage, "timed out");
        CHECK(judgement.status == "4.4.2");
        CHECK(judgement.next == Next::OtherHost);
        CHECK(judgement.outcome == kDeferred);
    }
    CHECK(judge_failure(Stage::FinalDot, "timed out").next == Next::Settled);
    CHECK(judge_failure(Stage::Mail, "timed out").text == "timed out while sending MAIL FROM");
}

}  // namespace
}  // namespace postrider::remote_delivery
