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
#include "libcommon/forward/destination.h"
#include "router/address.h"

namespace postrider::router {

using forward::Destination;

/// One alias.
struct Alias {
    std::string name;   ///< case folded
    bool wild = false;  ///< the name has wildcards
    std::vector<Destination> destinations;
    config::Position position;
};

/// One alias of a file, as read_alias_file() passes it on.
struct AliasLine {
    std::size_t offset = 0;  ///< of its line in the text
    std::uint32_t line = 0;
    std::string_view name;                                   ///< folded; valid during the call
    bool wild = false;                                       ///< the name has wildcards
    const std::vector<Destination>* destinations = nullptr;  ///< nullptr: plain addresses, which were checked
};

/// Reads an alias file, in the format of sendmail's:
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
/// Errors go to `errors`, each with its position; `add` is called with the aliases of faultless lines, in
/// their order.
void read_alias_file(std::string_view text, const std::shared_ptr<const std::string>& file,
                     config::Errors& errors, const std::function<void(const AliasLine&)>& add);

/// One alias as it is written: what stands behind the colon, with the lines that continue it.
struct AliasText {
    std::string name;   ///< folded
    bool wild = false;  ///< it has wildcards
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
/// `discard` and `null` become the file /dev/null here, too.
[[nodiscard]] std::vector<Destination> parse_destinations(std::string_view text,
                                                          const config::Position& position,
                                                          config::Errors& errors);

/// Parses a word of a line of configuration that holds one destination, or addresses with commas between
/// them. A command or a path is the whole word, as written.
[[nodiscard]] std::vector<Destination> parse_destination_word(const config::Word& word,
                                                              config::Errors& errors);

}  // namespace postrider::router
