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
    List,     ///< -bp, mailq: list the queue
    Flush,    ///< -q: attempt everything now
    Aliases,  ///< -bi, newaliases: nothing to do, alias files are read when they change
};

struct SendmailOptions {
    SendmailMode mode = SendmailMode::Deliver;
    std::string config_file = "/etc/postrider/postrider.conf";
    std::optional<std::string> sender;    ///< -f, -r; empty for <>
    std::string full_name;                ///< -F
    bool recipients_from_header = false;  ///< -t
    bool dot_ends = true;                 ///< without -i: a line with a dot ends the message
    std::vector<std::string> recipients;
};

/// Reads the options that programs in the wild use; those that only tune other mailers (-B, -h, -L, -m, -n,
/// -N, -o, -O, -p, -R, -U, -v, -V, -X, -bm) are accepted and have no effect. `arguments` begins with the name
/// of the program, whose last part may be mailq or newaliases. Error (Permanent): an unknown option.
[[nodiscard]] Result<SendmailOptions> parse_sendmail_options(const std::vector<std::string>& arguments);

}  // namespace postrider::admin
