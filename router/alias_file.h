#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/config/language.h"
#include "libcommon/forward/destination.h"
#include "router/address.h"
#include "router/domain_table.h"

namespace postrider::router {

using forward::Destination;

/// One alias.
struct Alias {
    std::string name;  ///< case folded
    std::vector<Destination> destinations;
    config::Position position;
};

/// The aliases of one file, by name.
using AliasTable = StringMap<Alias>;

/// Parses an alias file, in the format of sendmail's:
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
/// Errors go to `errors`, each with its position; the aliases of faultless lines are returned all the same.
[[nodiscard]] AliasTable parse_alias_file(std::string_view text,
                                          const std::shared_ptr<const std::string>& file,
                                          config::Errors& errors);

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
