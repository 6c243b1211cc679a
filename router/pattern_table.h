#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "router/table.h"

namespace postrider::router {

struct PatternLimits {
    std::size_t patterns = 0;  ///< of a file
    std::uint32_t match = 0;   ///< steps that PCRE2 may take for one pattern
};

/// One line of a file of patterns, and where it stands.
struct PatternLine {
    std::string pattern;
    std::string value;
    config::Position position;
    config::Position value_position;
};

/// What separates a pattern from its value: a colon in alias files, blanks in users files.
enum class PatternSeparator { Colon, Blank };

/// Reads a file of patterns: a pattern and its value a line; empty lines and those that begin with `#` are
/// skipped. `regex`: the pattern stands between slashes, in which `\/` is a slash. Errors go to `errors`.
[[nodiscard]] std::vector<PatternLine> read_pattern_file(std::string_view text,
                                                         const std::shared_ptr<const std::string>& file,
                                                         bool regex, PatternSeparator separator,
                                                         config::Errors& errors);

/// A table of these lines: the first pattern that matches a name has its value. Regular expressions are those
/// of PCRE2, without regard to case, compiled to no machine code, and bounded: where one takes more steps
/// than it may, nobody can tell whether it matches.
[[nodiscard]] std::unique_ptr<const Table> make_pattern_table(const std::vector<PatternLine>& lines,
                                                              bool regex, const PatternLimits& limits,
                                                              config::Errors& errors);

}  // namespace postrider::router
