#include "remote-delivery/transaction.h"

#include <catch2/catch.hpp>

#include "tests/unit/remote-delivery/memory_content.h"

namespace postrider::remote_delivery {
namespace {

using test::content_of;

const std::string kPlain = "Subject: hello\r\n\r\nworld\r\n";
const std::string kUtf8Body = "Subject: hello\r\n\r\nw\xc3\xb6rld\r\n";
const std::string kUtf8Header = "Subject: h\xc3\xa4llo\r\n\r\nworld\r\n";

Message message_of(const std::string& text) {
    return Message(content_of(text));
}

/// What prepare() refuses with, "" for nothing.
std::string refusal(const Message& message, const Capabilities& capabilities,
                    const std::string& sender = "a@b.test", const std::string& recipient = "x@y.test") {
    wire::Delivery delivery;
    delivery.set_recipient(recipient);
    TransactionRecipient entry;
    entry.delivery = &delivery;
    Transaction transaction;
    transaction.message = &message;
    transaction.sender = sender;
    transaction.recipients.push_back(entry);
    auto preparation = prepare(transaction, capabilities);
    return preparation.refusal ? preparation.refusal->status : "";
}

TEST_CASE("what the sender asked for is not asked for in the name of a list's owner") {
    Message message = message_of(kPlain);
    message.envid = "QQ=1";
    message.ret = 2;
    Transaction transaction;
    transaction.message = &message;
    transaction.sender = "a@b.test";
    CHECK(prepare(transaction, Capabilities()).options.envid == "QQ=1");
    CHECK(prepare(transaction, Capabilities()).options.ret == 2);
    transaction.redistributed = true;
    CHECK(prepare(transaction, Capabilities()).options.envid.empty());
    CHECK(prepare(transaction, Capabilities()).options.ret == 0);
}

TEST_CASE("a message goes to a server that can take it") {
    Capabilities none;
    Capabilities some;
    some.eight_bit = true;
    some.smtputf8 = true;
    CHECK(refusal(message_of(kPlain), none).empty());
    CHECK(refusal(message_of(kUtf8Body), none).empty());  // never declared: as it came

    Message declared = message_of(kUtf8Body);
    declared.eight_bit = true;
    CHECK(refusal(declared, none) == "5.6.3");
    CHECK(refusal(declared, some).empty());
    Message declared_plain = message_of(kPlain);
    declared_plain.eight_bit = true;
    CHECK(refusal(declared_plain, none).empty());

    Message utf8_header = message_of(kUtf8Header);
    utf8_header.smtputf8 = true;
    CHECK(refusal(utf8_header, none) == "5.6.7");
    CHECK(refusal(utf8_header, some).empty());
    Message utf8_plain = message_of(kPlain);
    utf8_plain.smtputf8 = true;
    CHECK(refusal(utf8_plain, none).empty());
    CHECK(refusal(message_of(kPlain), none, "j\xc3\xb6rg@b.test") == "5.6.7");
    CHECK(refusal(message_of(kPlain), none, "a@b.test", "j\xc3\xb6rg@b.test") == "5.6.7");
    CHECK(refusal(message_of(kPlain), some, "a@b.test", "j\xc3\xb6rg@b.test").empty());

    Message binary = message_of(kPlain);
    binary.binary = true;
    CHECK(refusal(binary, some) == "5.6.3");

    Capabilities small;
    small.size = true;
    small.size_limit = kPlain.size() - 1;
    CHECK(refusal(message_of(kPlain), small) == "5.3.4");
    small.size_limit = kPlain.size();
    CHECK(refusal(message_of(kPlain), small).empty());
}

}  // namespace
}  // namespace postrider::remote_delivery
