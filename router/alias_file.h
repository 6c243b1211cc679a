#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/config/language.h"
#include "libcommon/forward/destination.h"
#include "router/address.h"
#include "router/domain_table.h"
#include "router/name_patterns.h"

namespace postrider::router {

using forward::Destination;

/// One alias.
struct Alias {
    std::string name;  ///< case folded; a pattern in AliasTable::wild
    std::vector<Destination> destinations;
    config::Position position;
};

/// The aliases of one file.
struct AliasTable {
    StringMap<Alias> exact;   ///< by name
    std::vector<Alias> wild;  ///< whose names have wildcards, in the order of the file
    NamePatterns wild_names;  ///< the names of `wild`, numbered by their places in it
};

/// Parses an alias file, in the format of sendmail's:
///   * `name: destination, destination, …`; a line that begins with a blank continues the one before;
///   * empty lines, and lines whose first visible character is `#`, are skipped wherever they stand; a `#`
///     behind a blank begins a comment, too, but not in quotes;
///   * a name is compared without regard to case; it stands in quotes when it holds other characters than
///     those of a dot-atom. In a name without quotes `*` stands for any text and `?` for one octet;
///   * destinations: `user`, `user@domain`, `\user`, `$user`, `|command`, `/path`, `:include:/path`, and
///     `discard` or `null` for nobody. In quotes
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
/// `discard` and `null` become the file /dev/null here, too.
[[nodiscard]] std::vector<Destination> parse_destinations(std::string_view text,
                                                          const config::Position& position,
                                                          config::Errors& errors);

/// Parses a word of a line of configuration that holds one destination, or addresses with commas between
/// them. A command or a path is the whole word, as written.
[[nodiscard]] std::vector<Destination> parse_destination_word(const config::Word& word,
                                                              config::Errors& errors);

}  // namespace postrider::router
