#pragma once

#include <cstdint>
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

    // Of a sender that is accepted.
    bool stranger = false;  ///< of no domain of ours, from a client that may not relay

    // Of a recipient that is accepted.
    wire::Verdict::Fate fate = wire::Verdict::DELIVER;
    std::string fate_rule;               ///< the line that says so
    std::string fate_reason;             ///< of QUARANTINE
    std::uint64_t max_message_size = 0;  ///< of a message to it; 0: no limit of its own

    [[nodiscard]] bool accepted() const { return !refusal.has_value(); }
};

/// What was decided about a client when it connected.
struct ClientVerdict {
    Verdict verdict;
    bool answered = false;  ///< false: the router could not be asked, `verdict` is a temporary refusal
    wire::SessionPolicy policy;
    std::string client_name;                     ///< forward-confirmed reverse name, empty if there is none
    std::vector<std::string> unconfirmed_names;  ///< its further reverse names
    bool ask_again_with_helo = false;            ///< the greeting may change it
    bool new_client = false;  ///< of the first verdict of a session: it has not sent before
};

/// What VRFY or EXPN has found.
struct VerifiedAddress {
    Verdict verdict;
    std::vector<std::string> addresses;  ///< the address in full, or the members of a list
};

}  // namespace postrider::smtpd
