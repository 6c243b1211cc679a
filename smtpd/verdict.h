#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libcommon/ipc/router.pb.h"
#include "libcommon/mail/reply.h"

namespace postrider::smtpd {

/// What was decided about a client, a sender or a recipient.
struct Verdict {
    std::optional<mail::Reply> refusal;  ///< a 4xx or 5xx reply; nothing if accepted
    std::string rule;                    ///< file:line of the deciding line, or a word for a built-in rule
    std::size_t deliveries = 0;          ///< of a recipient: what he becomes; 0 where that is not known

    [[nodiscard]] bool accepted() const { return !refusal.has_value(); }
};

/// What was decided about a client when it connected.
struct ClientVerdict {
    Verdict verdict;
    bool answered = false;  ///< false: the router could not be asked, `verdict` is a temporary refusal
    wire::SessionPolicy policy;
    std::string client_name;           ///< forward-confirmed reverse name, empty if there is none
    bool ask_again_with_helo = false;  ///< the greeting may change it
    bool new_client = false;           ///< of the first verdict of a session: it has not sent before
};

/// What VRFY or EXPN has found.
struct VerifiedAddress {
    Verdict verdict;
    std::vector<std::string> addresses;  ///< the address in full, or the members of a list
};

}  // namespace postrider::smtpd
