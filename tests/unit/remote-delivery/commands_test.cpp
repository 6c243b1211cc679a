#include "remote-delivery/commands.h"

#include <catch2/catch.hpp>

#include "libcommon/mail/xtext.h"

namespace postrider::remote_delivery {
namespace {

Capabilities everything() {
    return parse_capabilities({"mx.test", "SIZE 1000000", "8BITMIME", "SMTPUTF8", "DSN", "PIPELINING"});
}

TEST_CASE("MAIL says what the server knows") {
    MailOptions options;
    options.size = 1234;
    options.eight_bit = true;
    options.smtputf8 = true;
    options.envid = "a+b";
    options.ret = 2;
    CHECK(mail_command("a@b.test", options, everything()) ==
          "MAIL FROM:<a@b.test> SIZE=1234 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb\r\n");
    CHECK(mail_command("a@b.test", options, Capabilities()) == "MAIL FROM:<a@b.test>\r\n");
    CHECK(mail_command("", MailOptions(), Capabilities()) == "MAIL FROM:<>\r\n");
    options = MailOptions();
    options.ret = 1;
    CHECK(mail_command("", options, everything()) == "MAIL FROM:<> SIZE=0 RET=FULL\r\n");
}

TEST_CASE("RCPT with and without DSN") {
    wire::Delivery delivery;
    delivery.set_recipient("x@y.test");
    CHECK(rcpt_command(delivery, everything()) == "RCPT TO:<x@y.test>\r\n");
    delivery.set_orcpt("rfc822;x+tag@y.test");
    delivery.set_notify(2 | 4 | 8);
    CHECK(rcpt_command(delivery, everything()) ==
          "RCPT TO:<x@y.test> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;x+2Btag@y.test\r\n");
    CHECK(rcpt_command(delivery, Capabilities()) == "RCPT TO:<x@y.test>\r\n");
    delivery.set_notify(1 | 2);
    delivery.clear_orcpt();
    CHECK(rcpt_command(delivery, everything()) == "RCPT TO:<x@y.test> NOTIFY=NEVER\r\n");
}

TEST_CASE("what came as ORCPT and ENVID goes on as the same, whatever characters it has") {
    // Every printable character beside every other, as it is decoded where it comes in.
    for (char first = ' '; first <= '~'; ++first) {
        for (char second = ' '; second <= '~'; ++second) {
            const std::string text = {'a', first, second, first, 'z'};
            CAPTURE(text);
            wire::Delivery delivery;
            delivery.set_recipient("x@y.test");
            delivery.set_orcpt("rfc822;" + text);
            const std::string rcpt = rcpt_command(delivery, everything());
            const std::string encoded = rcpt.substr(rcpt.find("rfc822;") + 7);
            const std::string value = encoded.substr(0, encoded.size() - 2);
            CHECK(value.find_first_of(" =") == std::string::npos);
            CHECK(mail::decode_xtext(value).value_or("refused") == text);
            MailOptions options;
            options.envid = text;
            const std::string mail = mail_command("", options, everything());
            const std::string envid = mail.substr(mail.find("ENVID=") + 6);
            CHECK(mail::decode_xtext(envid.substr(0, envid.size() - 2)).value_or("refused") == text);
        }
    }
}

TEST_CASE("what can stand in a command") {
    auto [address, expected] = GENERATE(table<std::string, bool>({
        {"", true},
        {"a@b.test", true},
        {"\"a b\"@c.test", true},
        {"\"a>b\"@c.test", true},
        {"\"a\\\"b\"@c.test", true},
        {"j\xc3\xb6rg@b.test", true},
        {"a@[192.0.2.1]", true},
        {"a b@c.test", false},
        {"a>b@c.test", false},
        {"a@b.test\r\nRCPT TO:<x@y.test", false},
        {"a@b.test\n", false},
        {std::string("a\0b@c.test", 10), false},
        {"\"a@b.test", false},
        {"\"a\\", false},
        {std::string(1100, 'a') + "@b.test", false},
    }));
    CAPTURE(address);
    CHECK(is_sendable(address) == expected);
}

}  // namespace
}  // namespace postrider::remote_delivery
