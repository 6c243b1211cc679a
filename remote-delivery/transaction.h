#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libcommon/ipc/queue.pb.h"
#include "remote-delivery/capabilities.h"
#include "remote-delivery/commands.h"
#include "remote-delivery/content.h"
#include "remote-delivery/judgement.h"

namespace postrider::remote_delivery {

/// What all transactions of a message have in common.
struct Message {
    explicit Message(Content content_in) : content(std::move(content_in)) {}

    Content content;
    bool eight_bit = false;  ///< declared BODY=8BITMIME
    bool binary = false;     ///< declared BODY=BINARYMIME
    bool smtputf8 = false;   ///< was taken in with SMTPUTF8
    std::string envid;
    std::uint32_t ret = 0;
};

/// One recipient of a transaction, and what became of it.
struct TransactionRecipient {
    const wire::Delivery* delivery = nullptr;  ///< not owned; outlives the transaction
    /// Next::Accepted while RCPT was answered well and the end of the message was not; set for all in the
    /// end.
    Judgement judgement;
};

/// One message to some of its recipients, from MAIL to the final dot (RFC 5321, 3.3).
struct Transaction {
    const Message* message = nullptr;  ///< not owned; outlives the transaction
    std::string sender;
    bool redistributed = false;  ///< to members of a list, by its owner: `sender` is not the message's own
    /// Header fields in front of the content: a Delivered-To for each forward file that led here, so that a
    /// host that sends the message back is found out.
    std::string trace_fields;
    std::vector<TransactionRecipient> recipients;

    [[nodiscard]] std::size_t accepted() const;

    /// Gives `judgement` to every recipient that was accepted so far.
    void settle_accepted(const Judgement& judgement);
    /// Gives `judgement` to every recipient from `first` on.
    void settle_from(std::size_t first, const Judgement& judgement);
};

/// What MAIL will say, or why the message must not be sent to a server that can do no more than this:
///  * 5.3.4: it is larger than the server's limit;
///  * 5.6.7: an address or the header is in UTF-8, and the server has no SMTPUTF8. A message that was taken
///  in
///    with SMTPUTF8 but uses none of it goes to any server;
///  * 5.6.3: it was declared 8BITMIME, has octets beyond US-ASCII, and the server has no 8BITMIME. RFC 6152
///  (3)
///    leaves us conversion or this. Content with such octets that was never declared goes as it is to
///    everybody: it came in like that through a client that knows no better, and a server that minds will say
///    so;
///  * 5.6.3: it was declared BINARYMIME, which we do not send;
///  * 4.3.0: the queue file cannot be read.
struct Preparation {
    MailOptions options;
    std::optional<Judgement> refusal;
};
[[nodiscard]] Preparation prepare(const Transaction& transaction, const Capabilities& capabilities);

}  // namespace postrider::remote_delivery
