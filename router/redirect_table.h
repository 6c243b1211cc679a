#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/result.h"
#include "libcommon/config/language.h"
#include "router/alias_file.h"
#include "router/domain_table.h"
#include "router/name_patterns.h"

/// The `redirect` and `redirect+copy` lines: what is asked first about an address, before it is even known
/// whether it is one of ours.
namespace postrider::router {

/// The left side of a line: `LOCAL@DOMAIN`. The local part may hold `*` and `?`, unless it is in quotes; the
/// domain is a DomainPattern.
struct RedirectPattern {
    std::string local;  ///< folded
    bool wild = false;  ///< `local` is to be read as a NamePattern
    DomainPattern domain;

    /// Permanent error for anything else, with the reason.
    [[nodiscard]] static Result<RedirectPattern> parse(std::string_view text);

    /// As it is written in a table.
    [[nodiscard]] std::string text() const;

    /// Whether it speaks of one address only.
    [[nodiscard]] bool is_exact() const { return !wild && domain.kind == DomainPattern::Kind::Exact; }
};

/// One line.
struct Redirect {
    RedirectPattern pattern;
    std::vector<Destination> destinations;
    bool copy = false;        ///< redirect+copy: the address itself gets the mail as well
    bool any_domain = false;  ///< scope=any: also where the domain is not a local one
    config::Position position;
};

/// All lines, in the order in which they stand. A look-up costs a few hash look-ups for each label of the
/// domain, and what NamePatterns says for the patterns of the domains that match.
class RedirectTable {
  public:
    void add(Redirect redirect);

    [[nodiscard]] bool empty() const { return redirects_.empty(); }
    [[nodiscard]] const std::vector<Redirect>& lines() const { return redirects_; }

    /// Appends the numbers of all lines whose pattern matches, in no order; a number may come twice. `local`
    /// is folded, `domain` canonical.
    void find(std::string_view local, std::string_view domain, std::vector<std::uint32_t>& numbers) const;

    /// The line of a number that find() gave. It lives as long as the table.
    [[nodiscard]] const Redirect& line(std::uint32_t number) const { return redirects_[number]; }

  private:
    /// The lines of one domain pattern.
    struct Bucket {
        StringMap<std::vector<std::uint32_t>> exact;
        NamePatterns wild;
        void add(const RedirectPattern& pattern, std::uint32_t number);
        void find(std::string_view local, std::vector<std::uint32_t>& numbers) const;
    };

    static void find_in(const StringMap<Bucket>& buckets, std::string_view domain, std::string_view local,
                        std::vector<std::uint32_t>& numbers);

    std::vector<Redirect> redirects_;
    StringMap<Bucket> exact_;
    StringMap<Bucket> trees_;
    StringMap<Bucket> sub_domains_;
    Bucket any_;
};

}  // namespace postrider::router
