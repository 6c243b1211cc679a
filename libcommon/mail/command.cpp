#include "libcommon/mail/command.h"

#include <algorithm>
#include <array>

#include "libcommon/mail/ascii.h"
#include "libcommon/mail/utf8.h"

namespace postrider::mail {
namespace {

struct NamedVerb {
    std::string_view name;
    Verb verb;
};

/// The verbs of every message come first, because the table is searched from the front.
constexpr std::array kVerbs = {
    NamedVerb{"MAIL", Verb::Mail},         NamedVerb{"RCPT", Verb::Rcpt},
    NamedVerb{"DATA", Verb::Data},         NamedVerb{"BDAT", Verb::Bdat},
    NamedVerb{"EHLO", Verb::Ehlo},         NamedVerb{"RSET", Verb::Rset},
    NamedVerb{"QUIT", Verb::Quit},         NamedVerb{"STARTTLS", Verb::StartTls},
    NamedVerb{"AUTH", Verb::Auth},         NamedVerb{"HELO", Verb::Helo},
    NamedVerb{"LHLO", Verb::Lhlo},         NamedVerb{"NOOP", Verb::Noop},
    NamedVerb{"VRFY", Verb::Vrfy},         NamedVerb{"EXPN", Verb::Expn},
    NamedVerb{"HELP", Verb::Help},         NamedVerb{"ETRN", Verb::Etrn},
    NamedVerb{"TURN", Verb::Turn},         NamedVerb{"XCLIENT", Verb::Xclient},
    NamedVerb{"XFORWARD", Verb::Xforward},
};

Verb find_verb(std::string_view word) {
    const auto* found = std::find_if(kVerbs.begin(), kVerbs.end(), [&](const NamedVerb& entry) {
        return equal_ignoring_case(entry.name, word);
    });
    return found == kVerbs.end() ? Verb::Unknown : found->verb;
}

/// Tabs are the one control that may divide words; what the words are made of is checked without them.
bool is_clean(std::string_view line) {
    std::string without_tabs(line);
    std::replace(without_tabs.begin(), without_tabs.end(), '\t', ' ');
    return is_printable_utf8(without_tabs);
}

}  // namespace

std::string_view verb_name(Verb verb) {
    const auto* found = std::find_if(kVerbs.begin(), kVerbs.end(),
                                     [&](const NamedVerb& entry) { return entry.verb == verb; });
    return found == kVerbs.end() ? "UNKNOWN" : found->name;
}

Result<Command> parse_command(std::string_view line, bool strict) {
    if (strict ? !is_printable_utf8(line) : !is_clean(line)) {
        return permanent("control character or invalid UTF-8 in command");
    }
    // RFC 5321 4.1.1 asks receivers to tolerate blanks at the end, so strict does too.
    trim_blanks_at_end(line);
    const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
    const Verb verb = find_verb(line.substr(0, end));
    if (verb == Verb::Unknown) return Command{verb, std::string(line)};
    std::string_view argument = line.substr(end);
    if (skip_blanks(argument) > 1 && strict) return permanent("more than one space behind the command");
    return Command{verb, std::string(argument)};
}

Result<std::string> path_argument(const Command& command, bool strict) {
    const std::string_view keyword = command.verb == Verb::Rcpt ? "TO" : "FROM";
    std::string_view rest = command.argument;
    if (starts_with_ignoring_case(rest, keyword)) {
        rest.remove_prefix(keyword.size());
        if (!strict) skip_blanks(rest);
        if (rest.starts_with(':')) return std::string(rest.substr(1));
    }
    return permanent(std::string(keyword) + ": expected");
}

}  // namespace postrider::mail
