#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/result.h"
#include "router/domain_table.h"
#include "router/glob.h"

namespace postrider::router {

/// Whether a local part, as it is written without quotes, has a wildcard in it.
[[nodiscard]] bool has_wildcard(std::string_view name);

/// A pattern for folded local parts: `*` is any text, also none, `?` one octet, and every other character is
/// itself.
class NamePattern {
  public:
    /// `name` is folded. Permanent error for a name that is empty.
    [[nodiscard]] static Result<NamePattern> parse(std::string_view name);

    [[nodiscard]] bool matches(std::string_view local) const { return glob_.matches(local); }

    /// What stands before the first and behind the last wildcard: every name that matches begins and ends so.
    [[nodiscard]] const std::string& prefix() const { return prefix_; }
    [[nodiscard]] const std::string& suffix() const { return suffix_; }

  private:
    explicit NamePattern(Glob glob) : glob_(std::move(glob)) {}

    Glob glob_;
    std::string prefix_;
    std::string suffix_;
};

/// Many patterns, each with a number. A look-up costs one hash look-up for each length that the fixed
/// beginnings of patterns have, or where there is none their ends, and one comparison for each pattern whose
/// fixed part fits; only patterns that both begin and end with a wildcard are all compared.
class NamePatterns {
  public:
    void add(NamePattern pattern, std::uint32_t number);

    [[nodiscard]] bool empty() const { return patterns_.empty(); }

    /// Appends the numbers of all patterns that match a folded local part, in no order.
    void find_all(std::string_view local, std::vector<std::uint32_t>& numbers) const;

    /// The lowest number of a pattern that matches.
    [[nodiscard]] std::optional<std::uint32_t> find_first(std::string_view local) const;

  private:
    struct Numbered {
        NamePattern pattern;
        std::uint32_t number = 0;
    };
    /// Patterns by a fixed part, and the lengths that those parts have.
    struct Index {
        StringMap<std::vector<std::uint32_t>> by_text;
        std::vector<std::size_t> lengths;
        void add(const std::string& text, std::uint32_t place);
    };

    template <typename Visit>
    void each_match(std::string_view local, Visit visit) const;

    std::vector<Numbered> patterns_;
    Index by_prefix_;
    Index by_suffix_;  // of patterns that begin with a wildcard
    std::vector<std::uint32_t> anywhere_;
};

}  // namespace postrider::router
