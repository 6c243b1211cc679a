#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libcommon/base/result.h"

namespace postrider::admin {

/// What a call of sendmail, mailq or newaliases asks for.
enum class SendmailMode {
    Deliver,  ///< take a message from standard input
    Smtp,     ///< -bs: speak SMTP on standard input and output
    Verify,   ///< -bv: say how each recipient would be delivered
    List,     ///< -bp, mailq: list the queue
    Flush,    ///< -q: attempt messages now
    Aliases,  ///< -bi, newaliases: nothing to do, alias files are read when they change
};

/// What the caller wants to hear of the delivery, as SMTP writes it (RFC 3461, 4.1 to 4.4); empty: not said.
struct DsnRequest {
    std::string notify;  ///< -N: "NEVER", or some of "SUCCESS,FAILURE,DELAY"
    std::string ret;     ///< -R: "FULL" or "HDRS"
    std::string envid;   ///< -V, in xtext

    friend bool operator==(const DsnRequest& a, const DsnRequest& b) = default;
};

struct SendmailOptions {
    SendmailMode mode = SendmailMode::Deliver;
    std::string config_file = "/etc/postrider/postrider.conf";
    std::optional<std::string> sender;    ///< -f, -r; empty for <>
    std::string full_name;                ///< -F
    bool recipients_from_header = false;  ///< -t
    bool dot_ends = true;                 ///< without -i: a line with a dot ends the message
    DsnRequest dsn;
    std::vector<std::string> flush;  ///< of Flush: what `postrider queue flush` is asked for
    std::vector<std::string> recipients;
};

/// Reads the options that programs in the wild use; those that only tune other mailers (-B, -G, -h, -L, -m,
/// -n, -p, -U, -v, -X, -bm, most of -o and -O) are accepted and have no effect. `arguments` begins with the
/// name of the program, whose last part may be mailq or newaliases. Error (Permanent): an unknown option, or
/// a value that is none; the text says what is allowed.
[[nodiscard]] Result<SendmailOptions> parse_sendmail_options(const std::vector<std::string>& arguments);

}  // namespace postrider::admin
