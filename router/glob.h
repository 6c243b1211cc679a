#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "libcommon/base/result.h"

namespace postrider::router {

/// A shell pattern, compared without regard to the case of ASCII letters: `*` is any text, also none, `?` one
/// octet, `[a-z]` and `[!a-z]` one octet in or not in a set, and `\` makes the next character an ordinary
/// one.
///
/// Matching takes at most the product of the lengths of text and pattern: a text made by an enemy cannot make
/// it slow, as it can with the recursion that fnmatch(3) is built from.
class Glob {
  public:
    /// Permanent error for a pattern that is empty, ends within `[`, or ends in `\`, or has more
    /// than 255 sets.
    [[nodiscard]] static Result<Glob> parse(std::string_view pattern);

    [[nodiscard]] bool matches(std::string_view text) const;

    /// Ordinary characters in the pattern: the more, the more specific it is.
    [[nodiscard]] std::size_t literals() const { return literals_; }

    /// Whether it matches a single text only.
    [[nodiscard]] bool is_literal() const { return literals_ == tokens_.size(); }

  private:
    using Set = std::bitset<256>;

    /// What one place of the text may be; the star stands for any number of places.
    struct Token {
        enum class Kind : std::uint8_t { Octet, Any, Star, OneOf };
        Kind kind = Kind::Octet;
        std::uint8_t value = 0;  ///< of Octet, folded; of OneOf: its index in sets_
    };

    [[nodiscard]] static Result<Set> parse_set(std::string_view& rest);
    [[nodiscard]] bool is_star(std::size_t token) const;
    [[nodiscard]] bool fits(std::size_t token, char octet) const;

    std::vector<Token> tokens_;  // two octets each, since a table may have many patterns
    std::vector<Set> sets_;
    std::size_t literals_ = 0;
};

}  // namespace postrider::router
