#include "router/tables.h"

#include <algorithm>
#include <utility>

#include "libcommon/mail/local_part.h"

namespace postrider::router {

namespace {

/// The common aliases as far as they hold for the domain, or nullptr.
const AliasTable* common_aliases_of(const Tables& tables, const LocalDomain& domain) {
    const bool hold = domain.aliases == nullptr || tables.alias_fallthrough;
    return hold ? tables.common_aliases.get() : nullptr;
}

}  // namespace

const config::Listener* GeneralSettings::listener(std::uint16_t port, bool local) const {
    const auto found = std::find_if(listeners.begin(), listeners.end(), [&](const config::Listener& one) {
        const bool is_local = one.kind == config::ListenerKind::Local;
        return is_local == local && (local || one.port == port);
    });
    return found == listeners.end() ? nullptr : &*found;
}

std::string GeneralSettings::origin(std::string_view directive) const {
    const auto found = origins.find(directive);
    return found == origins.end() ? "default" : found->second.line_text();
}

const LocalDomain* Tables::local_domain(std::string_view domain) const {
    const auto alias = domain_aliases.find(domain);
    if (alias != domain_aliases.end()) domain = alias->second.domain;
    const auto found = local_domains.find(domain);
    return found == local_domains.end() ? nullptr : &found->second;
}

Address Tables::qualified(Address address) const {
    if (address.domain.empty()) address.domain = primary_domain;
    return address;
}

AliasMatch find_alias(const Tables& tables, const LocalDomain& domain, std::string_view local) {
    std::vector<std::string_view> names{local};
    const std::optional<std::string> user = without_detail(tables, local);
    if (user) names.push_back(*user);
    for (const bool common : {false, true}) {
        const AliasTable* table = common ? common_aliases_of(tables, domain) : domain.aliases.get();
        if (table == nullptr) continue;
        for (const bool wild : {false, true}) {
            for (const std::string_view name : names) {
                AliasAnswer answer = wild ? table->find_wild(name) : table->find(name);
                if (!answer) return {nullptr, common, {}, answer.error().text};
                if (*answer) return {std::move(*answer), common, std::string(name), {}};
            }
        }
    }
    return {};
}

std::vector<const Redirect*> redirects_of(const Tables& tables, const Address& address,
                                          std::string_view written_domain) {
    std::vector<const Redirect*> redirects;
    if (tables.redirects.empty()) return redirects;
    const bool is_local = tables.local_domain(address.domain) != nullptr;
    std::vector<std::string> names{folded(address.local)};
    if (is_local) {
        std::optional<std::string> user = without_detail(tables, names.front());
        if (user) names.push_back(std::move(*user));
    }
    std::vector<std::uint32_t> numbers;
    for (const std::string& name : names) {
        tables.redirects.find(name, address.domain, numbers);
        if (written_domain != address.domain) tables.redirects.find(name, written_domain, numbers);
    }
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    for (const std::uint32_t number : numbers) {
        const Redirect& redirect = tables.redirects.line(number);
        if (!is_local && !redirect.any_domain) continue;
        redirects.push_back(&redirect);
        if (!tables.redirect_all_matches) break;
    }
    return redirects;
}

Result<bool> has_alias(const Tables& tables, const LocalDomain& domain, std::string_view name) {
    for (const AliasTable* table : {domain.aliases.get(), common_aliases_of(tables, domain)}) {
        if (table == nullptr) continue;
        Result<bool> found = table->contains(name);
        if (!found || *found) return found;
    }
    return false;
}

std::optional<std::string> without_detail(const Tables& tables, std::string_view local) {
    if (local.find_first_of(tables.recipient_delimiter, 1) == std::string_view::npos) return std::nullopt;
    mail::SplitLocalPart split = mail::split_detail(local, tables.recipient_delimiter);
    if (!split.detail) return std::nullopt;
    return std::move(split.user);
}

}  // namespace postrider::router
