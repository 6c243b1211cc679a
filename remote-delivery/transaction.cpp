#include "remote-delivery/transaction.h"

#include <fmt/format.h>

#include <algorithm>

#include "libcommon/mail/ascii.h"

namespace postrider::remote_delivery {
namespace {

bool has_utf8_address(const Transaction& transaction) {
    auto beyond = [](const TransactionRecipient& recipient) {
        return !mail::is_ascii(recipient.delivery->recipient());
    };
    return !mail::is_ascii(transaction.sender) ||
           std::any_of(transaction.recipients.begin(), transaction.recipients.end(), beyond);
}

Judgement unreadable(const Error& error) {
    return deferred("4.3.0", error.text);
}

std::optional<Judgement> refuse_without_smtputf8(const Transaction& transaction) {
    bool needed = has_utf8_address(transaction);
    if (!needed && transaction.message->smtputf8) {
        auto in_header = transaction.message->content.has_eight_bit(true);
        if (!in_header) return unreadable(in_header.error());
        needed = *in_header;
    }
    if (!needed) return std::nullopt;
    return failed("5.6.7", "the message needs SMTPUTF8, which the server does not offer");
}

std::optional<Judgement> refuse_without_eight_bit(const Message& message) {
    if (!message.eight_bit) return std::nullopt;
    auto present = message.content.has_eight_bit(false);
    if (!present) return unreadable(present.error());
    if (!*present) return std::nullopt;
    return failed("5.6.3", "the message needs 8BITMIME, which the server does not offer");
}

}  // namespace

std::size_t Transaction::accepted() const {
    return static_cast<std::size_t>(std::count_if(
        recipients.begin(), recipients.end(),
        [](const TransactionRecipient& recipient) { return recipient.judgement.next == Next::Accepted; }));
}

void Transaction::settle_accepted(const Judgement& judgement) {
    for (TransactionRecipient& recipient : recipients) {
        if (recipient.judgement.next == Next::Accepted) recipient.judgement = judgement;
    }
}

void Transaction::settle_from(std::size_t first, const Judgement& judgement) {
    for (std::size_t i = first; i < recipients.size(); ++i)
        recipients[i].judgement = judgement;
}

Preparation prepare(const Transaction& transaction, const Capabilities& capabilities) {
    const Message& message = *transaction.message;
    Preparation preparation;
    const std::uint64_t length = message.content.length() + transaction.trace_fields.size();
    preparation.options.size = length;
    preparation.options.eight_bit = message.eight_bit;
    preparation.options.smtputf8 = message.smtputf8 || has_utf8_address(transaction);
    // Who gets the reports of a list has not asked for anything (RFC 3461, 5.2.7.1 b).
    if (!transaction.redistributed) {
        preparation.options.envid = message.envid;
        preparation.options.ret = message.ret;
    }
    if (capabilities.size_limit > 0 && length > capabilities.size_limit) {
        preparation.refusal = failed("5.3.4", fmt::format("the message has {} octets, the server takes {}",
                                                          length, capabilities.size_limit));
    } else if (message.binary) {
        preparation.refusal = failed("5.6.3", "the message is BINARYMIME, which is not sent to other hosts");
    } else if (preparation.options.smtputf8 && !capabilities.smtputf8) {
        preparation.refusal = refuse_without_smtputf8(transaction);
    }
    if (!preparation.refusal && !capabilities.eight_bit) {
        preparation.refusal = refuse_without_eight_bit(message);
    }
    return preparation;
}

}  // namespace postrider::remote_delivery
