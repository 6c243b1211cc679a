#pragma once

#include <string>
#include <string_view>

#include "libcommon/base/result.h"

namespace postrider::mail {

/// The commands of SMTP and LMTP that the suite has a name for.
enum class Verb {
    Unknown,
    Auth,
    Bdat,
    Data,
    Ehlo,
    Etrn,
    Expn,
    Helo,
    Help,
    Lhlo,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Turn,
    Vrfy,
    Xclient,
    Xforward,
};

/// The verb as it is written ("MAIL"); "UNKNOWN" for Unknown.
[[nodiscard]] std::string_view verb_name(Verb verb);

/// One command line, cut in two.
struct Command {
    Verb verb = Verb::Unknown;
    /// What stands behind the verb, without the blanks around it; for Unknown the whole line.
    std::string argument;
};

/// Cuts a command line, given without its CRLF, into verb and argument. The case of the verb does not matter.
/// Unless strict, any number of spaces and tabs divides them; strict takes one space. A word that is no verb
/// is not an error but Unknown. Error: Permanent (500 or 501); a control character, NUL among them, or octets
/// that are not UTF-8.
[[nodiscard]] Result<Command> parse_command(std::string_view line, bool strict);

/// The argument of a MAIL or RCPT command behind `FROM:` or `TO:`, ready for parse_path. Unless strict,
/// blanks before the colon are accepted. Error: Permanent (501); the keyword or the colon is missing.
[[nodiscard]] Result<std::string> path_argument(const Command& command, bool strict);

}  // namespace postrider::mail
