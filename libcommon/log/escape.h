#pragma once

#include <cstddef>
#include <string_view>

#include "libcommon/log/line_buffer.h"

namespace postrider::log {

/// Whether a value can stand in a text line without quotes.
[[nodiscard]] bool is_plain_word(std::string_view value) noexcept;

/// The longest part of `value` of at most `limit` bytes that does not end within a UTF-8 character.
[[nodiscard]] std::string_view cut_at_character(std::string_view value, std::size_t limit) noexcept;

/// Appends `value` as the inside of a quoted value of a text line. Control characters become \n, \r, \t or,
/// like bytes that are no UTF-8, \xNN. What would make it longer than kMaximumValue is left out, so that a
/// peer that sends nothing but control characters cannot push other pairs off the line. Returns whether all
/// of it is there.
bool append_text_escaped(Line::Buffer& line, std::string_view value) noexcept;

/// The same as the inside of a JSON string (RFC 8259). Bytes that are no UTF-8 cannot stand in one and are
/// shown as \xNN, with the backslash itself escaped.
bool append_json_escaped(Line::Buffer& line, std::string_view value) noexcept;

}  // namespace postrider::log
