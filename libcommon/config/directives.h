#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/config/language.h"
#include "libcommon/config/limits.h"

/// The one table of everything that may stand in a configuration: what `postrider check` accepts, what
/// `postrider config` prints and what postrider.conf(5) describes.
namespace postrider::config {

/// Whether this version does what a name asks for. A name that is only Planned is known, and using it is an
/// error that says so: nothing that somebody wrote is ever silently ignored.
enum class Status { Implemented, Planned };

/// How often a directive may stand in a configuration.
enum class Occurs { Once, Repeatedly };

/// Who acts on a directive.
enum class Reader { Everyone, Smtpd, QueueManager, Router, LocalDelivery, RemoteDelivery, Authd };

/// A number of words that nothing limits.
inline constexpr std::size_t kAnyNumber = std::numeric_limits<std::size_t>::max();

/// One `key=` option or one flag (a bare word behind the others) of a directive.
struct Keyword {
    std::string_view name;
    Status status = Status::Implemented;
};

/// One row of the table.
struct DirectiveRow {
    std::string_view name;
    Status status = Status::Implemented;
    Occurs occurs = Occurs::Once;
    std::size_t least_words = 1;
    std::size_t most_words = 1;  ///< flags not counted
    std::vector<Keyword> options;
    std::vector<Keyword> flags;
    std::string_view arguments;     ///< the synopsis behind the name, for messages and the manual
    std::string_view default_text;  ///< the default as one would write it; empty: none
    Reader reader = Reader::Everyone;
    std::string_view doc;        ///< one line
    bool table = false;          ///< a line of a table: kept as a directive, for the router to interpret
    std::optional<Limit> limit;  ///< set when the directive is a row of the limits table
};

/// The rows that are not limits (directive_rows.cpp).
[[nodiscard]] std::vector<DirectiveRow> general_rows();

/// Every directive, general ones first, then one for each settable row of the limits table.
[[nodiscard]] const std::vector<DirectiveRow>& directive_table();

/// The row of a name, or nullptr.
[[nodiscard]] const DirectiveRow* find_directive(std::string_view name);

/// "smtpd", "queue-manager" …; "all".
[[nodiscard]] std::string_view reader_name(Reader reader);

/// Checks every directive against the table: known names, number of words, options and flags, what is not
/// implemented, and Once directives given twice. Errors go to `errors`; the result holds the directives
/// without error, in their order, and those that say something even without their wrong options, without
/// these.
[[nodiscard]] std::vector<Directive> check_directives(std::vector<Directive> directives, Errors& errors);

}  // namespace postrider::config
