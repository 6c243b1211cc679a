#pragma once

#include <string>
#include <string_view>

namespace postrider::mail {

/// Whether `text` is well-formed UTF-8 without control characters of either kind (U+0000-U+001F, U+007F,
/// U+0080-U+009F). What passes can stand in a log line, a reply or an address without changing its meaning.
[[nodiscard]] bool is_printable_utf8(std::string_view text);

/// A copy of `text` that is_printable_utf8: tabs become blanks, every other octet that must not stand there a
/// question mark.
[[nodiscard]] std::string make_printable(std::string_view text);

/// The largest length not above `limit` at which `text` can be cut without splitting a UTF-8 character.
[[nodiscard]] std::size_t utf8_cut(std::string_view text, std::size_t limit);

}  // namespace postrider::mail
