#include "router/redirect_table.h"

#include <utility>

#include "libcommon/mail/local_part.h"
#include "router/address.h"

namespace postrider::router {

Result<RedirectPattern> RedirectPattern::parse(std::string_view text) {
    RedirectPattern pattern;
    const bool quoted = text.starts_with('"');
    // `*` and `?` are ordinary characters of a dot-atom, so a pattern is one, too.
    Result<std::string> local = mail::take_local_part(text);
    if (!local) return failure(std::move(local).error());
    if (!text.starts_with('@')) return permanent("expected LOCAL@DOMAIN, where both may be *");
    text.remove_prefix(1);
    Result<DomainPattern> domain = DomainPattern::parse(text);
    if (!domain) return failure(std::move(domain).error());
    pattern.local = folded(*local);
    pattern.wild = !quoted && has_wildcard(pattern.local);
    pattern.domain = std::move(*domain);
    return pattern;
}

std::string RedirectPattern::text() const {
    // A literal wildcard stands in quotes, which write_local_part() does not put around it.
    std::string written = mail::write_local_part(local);
    if (!wild && has_wildcard(local) && !written.starts_with('"')) written = '"' + written + '"';
    return written + '@' + domain.text();
}

void RedirectTable::Bucket::add(const RedirectPattern& pattern, std::uint32_t number) {
    if (!pattern.wild) {
        exact[pattern.local].push_back(number);
    } else if (Result<NamePattern> name = NamePattern::parse(pattern.local)) {
        wild.add(std::move(*name), number);
    }
}

void RedirectTable::Bucket::find(std::string_view local, std::vector<std::uint32_t>& numbers) const {
    const auto found = exact.find(local);
    if (found != exact.end()) numbers.insert(numbers.end(), found->second.begin(), found->second.end());
    wild.find_all(local, numbers);
}

void RedirectTable::add(Redirect redirect) {
    const auto number = static_cast<std::uint32_t>(redirects_.size());
    const RedirectPattern& pattern = redirect.pattern;
    switch (pattern.domain.kind) {
        case DomainPattern::Kind::Exact:
            exact_[pattern.domain.domain].add(pattern, number);
            break;
        case DomainPattern::Kind::Tree:
            trees_[pattern.domain.domain].add(pattern, number);
            break;
        case DomainPattern::Kind::SubDomains:
            sub_domains_[pattern.domain.domain].add(pattern, number);
            break;
        case DomainPattern::Kind::Any:
            any_.add(pattern, number);
            break;
    }
    redirects_.push_back(std::move(redirect));
}

void RedirectTable::find_in(const StringMap<Bucket>& buckets, std::string_view domain, std::string_view local,
                            std::vector<std::uint32_t>& numbers) {
    if (buckets.empty()) return;
    const auto found = buckets.find(domain);
    if (found != buckets.end()) found->second.find(local, numbers);
}

void RedirectTable::find(std::string_view local, std::string_view domain,
                         std::vector<std::uint32_t>& numbers) const {
    if (empty()) return;
    find_in(exact_, domain, local, numbers);
    find_in(trees_, domain, local, numbers);
    for (std::size_t dot = domain.find('.'); dot != std::string_view::npos; dot = domain.find('.')) {
        domain.remove_prefix(dot + 1);
        find_in(trees_, domain, local, numbers);
        find_in(sub_domains_, domain, local, numbers);
    }
    any_.find(local, numbers);
}

}  // namespace postrider::router
