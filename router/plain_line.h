#pragma once

#include <cstddef>
#include <string>
#include <string_view>

/// The lines that large tables are made of, checked in one go: lower case letters, digits, `-`, `_` and dots,
/// nothing quoted, nothing continued. A table of a million of them is read in a fraction of a second, which
/// the parsers for all that may stand in a line would not manage. Whatever these functions accept, those
/// parsers accept, too, with the same result; whatever they do not, is left to them.
namespace postrider::router {

/// Whether `text` begins with a line `name: destination, …` of an alias file: names and addresses with or
/// without domain. Returns the length of the line with its end, and puts its name into `name`; 0 otherwise.
[[nodiscard]] std::size_t plain_alias_line(std::string_view text, std::string& name);

/// The same for a line `name [home=/PATH] [forward=ADDRESS,…]` of a users file; `has_home` says whether the
/// first option is there.
[[nodiscard]] std::size_t plain_user_line(std::string_view text, std::string& name, bool& has_home);

}  // namespace postrider::router
