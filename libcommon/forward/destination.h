#pragma once

#include <string>
#include <vector>

#include "libcommon/config/language.h"
#include "libcommon/forward/address.h"
#include "libcommon/forward/text_cursor.h"

namespace postrider::forward {

/// One of the places a name leads to, as it is written in an alias file, an included list, a forward file
/// or the `forward=` of a virtual user.
struct Destination {
    enum class Kind {
        Mail,     ///< an address, or a name without domain
        User,     ///< `$user` or `\name`: the mailbox itself, without looking at aliases again
        Program,  ///< a command line
        File,     ///< an absolute path
        Include,  ///< the absolute path of a list
    };
    Kind kind = Kind::Mail;
    std::string text;           ///< command or path
    Address address;            ///< of Mail and User; without a domain where none was written
    config::Position position;  ///< of its first character

    /// Whether this is `$user`: the user that the alias is named after.
    [[nodiscard]] bool is_own_user() const { return kind == Kind::User && address.local.empty(); }
};

/// Whether programs and files are allowed, and what separates destinations.
enum class Dialect {
    AliasFile,    ///< all kinds, separated by commas
    List,         ///< addresses, users and further lists, separated by commas or line ends
    ForwardFile,  ///< all kinds, separated by commas or line ends
};

/// Destinations as they were written one after the other.
struct DestinationList {
    std::vector<Destination> destinations;
    bool faulty = false;  ///< something was no destination, and was reported
};

/// Parses the destinations up to the end of the cursor's text: `user`, `user@domain`, `\user`, `$user`,
/// `|command`, `/path`, `:include:/path`. In quotes as a whole, or behind the `|`, they keep blanks and
/// commas, and `\` makes the next character an ordinary one. A `#` behind a blank begins a comment. Errors
/// go to `errors`, each with its position; what is faultless is returned all the same.
[[nodiscard]] DestinationList parse_destination_list(TextCursor cursor, Dialect dialect,
                                                     config::Errors& errors);

}  // namespace postrider::forward
