#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/config/language.h"
#include "router/address.h"

namespace postrider::router {

/// One of the places a name leads to, as it is written in an alias file, an included list or the `forward=`
/// of a virtual user.
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

/// One alias.
struct Alias {
    std::string name;  ///< case folded
    std::vector<Destination> destinations;
    config::Position position;
};

/// One alias of a file, as read_alias_file() passes it on.
struct AliasLine {
    std::size_t offset = 0;  ///< of its line in the text
    std::uint32_t line = 0;
    std::string_view name;                                   ///< folded; valid during the call
    const std::vector<Destination>* destinations = nullptr;  ///< nullptr: plain addresses, which were checked
};

/// Reads an alias file, in the format of sendmail's:
///   * `name: destination, destination, …`; a line that begins with a blank continues the one before;
///   * empty lines, and lines whose first visible character is `#`, are skipped wherever they stand; a `#`
///     behind a blank begins a comment, too, but not in quotes;
///   * a name is compared without regard to case; it stands in quotes when it holds other characters than
///   those
///     of a dot-atom;
///   * destinations: `user`, `user@domain`, `\user`, `$user`, `|command`, `/path`, `:include:/path`. In
///   quotes
///     as a whole, or behind the `|`, they keep blanks and commas, and `\` makes the next character an
///     ordinary one: `"|/usr/bin/sort \"a, b\""`, `|"/usr/bin/sort a"`.
///
/// Errors go to `errors`, each with its position; `add` is called with the aliases of faultless lines, in
/// their order.
void read_alias_file(std::string_view text, const std::shared_ptr<const std::string>& file,
                     config::Errors& errors, const std::function<void(const AliasLine&)>& add);

/// One alias as it is written: what stands behind the colon, with the lines that continue it.
struct AliasText {
    std::string name;  ///< folded
    std::string_view destinations;
    config::Position position;  ///< of the destinations
};

/// Finds out what the alias at `offset`, which read_alias_file() has passed on, consists of; its line begins
/// at `position`.
[[nodiscard]] std::optional<AliasText> read_alias(std::string_view text, std::size_t offset,
                                                  const config::Position& position);

/// Parses a list that an alias includes: destinations, separated by commas or line ends; comments as in an
/// alias file. Because such lists often belong to a user, who must not gain anybody else's rights by them,
/// they may hold addresses, users and further lists only; a program or a file is an error.
[[nodiscard]] std::vector<Destination> parse_alias_list(std::string_view text,
                                                        const std::shared_ptr<const std::string>& file,
                                                        config::Errors& errors);

/// Parses destinations separated by commas, as they stand in `forward=`. Errors are reported at `position`.
[[nodiscard]] std::vector<Destination> parse_destinations(std::string_view text,
                                                          const config::Position& position,
                                                          config::Errors& errors);

}  // namespace postrider::router
