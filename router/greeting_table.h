#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "router/domain_table.h"
#include "router/glob.h"
#include "router/policy_item.h"

namespace postrider::router {

/// What a table says about the names that clients greet with: shell patterns, compared without regard to
/// case. The pattern with the most ordinary characters wins, and a refusal among equals. A name costs one
/// hash look-up where the pattern has no wildcard, one for each of its labels where it is of the form
/// `*.domain`; only other patterns are tried one after the other.
///
/// A greeting that is an address literal, `[192.0.2.1]`, is no name: a pattern matches it only if it begins
/// with `\[`.
class GreetingTable {
  public:
    /// Adds a line. Nullptr, or the rule of the line that has the same pattern already, in which case nothing
    /// is added. Permanent error for a pattern that is none. The pointer is valid until the next add().
    Result<const PolicyRule*> add(std::string_view pattern, PolicyRule rule);

    /// The rule for a greeting, or nullptr. The pointer lives as long as the table.
    [[nodiscard]] const PolicyRule* find(std::string_view greeting) const;

    [[nodiscard]] bool empty() const { return by_pattern_.empty(); }

  private:
    struct Entry {
        Glob glob;
        bool for_literals = false;
        PolicyRule rule;
    };

    [[nodiscard]] const Entry* find_plain(const std::string& greeting) const;

    StringMap<Entry> by_pattern_;              // in lower case
    std::vector<const Entry*> with_wildcard_;  // all but exact names and `*.domain`, the most specific first
    bool has_suffixes_ = false;
};

}  // namespace postrider::router
