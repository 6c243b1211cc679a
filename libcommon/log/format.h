#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "libcommon/log/line_buffer.h"

namespace postrider::log {

/// Starts a line: time or priority, daemon, process, level, event.
void begin_line(Line::Buffer& line, Level level, std::string_view event) noexcept;

/// Appends a pair whose value needs no quotes in either format.
void append_bare(Line::Buffer& line, std::string_view key, std::string_view value) noexcept;

/// Appends a pair whose value is a number.
void append_number(Line::Buffer& line, std::string_view key, std::uint64_t value) noexcept;

/// Appends a pair whose value is a time span in seconds, with three decimals.
void append_seconds(Line::Buffer& line, std::string_view key, std::chrono::milliseconds value) noexcept;

/// Appends a pair whose value is `before`, `value` and `after` together, quoted and escaped as needed.
/// `before` and `after` need no escape.
void append_string(Line::Buffer& line, std::string_view key, std::string_view before, std::string_view value,
                   std::string_view after) noexcept;

/// Ends the line, and says so where pairs were left out.
void end_line(Line::Buffer& line) noexcept;

}  // namespace postrider::log
