#include "router/tables.h"

#include <algorithm>
#include <utility>

#include "libcommon/mail/local_part.h"

namespace postrider::router {

namespace {

const Alias* find_in(const AliasTable* table, std::string_view name) {
    if (table == nullptr) return nullptr;
    const auto found = table->exact.find(name);
    return found == table->exact.end() ? nullptr : &found->second;
}

const Alias* find_wild(const AliasTable* table, std::string_view name) {
    if (table == nullptr || table->wild.empty()) return nullptr;
    const std::optional<std::uint32_t> number = table->wild_names.find_first(name);
    return number ? &table->wild[*number] : nullptr;
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
    const std::optional<std::string> user = without_detail(tables, local);
    for (const bool common : {false, true}) {
        if (common && domain.aliases != nullptr && !tables.alias_fallthrough) break;
        const AliasTable* table = common ? tables.common_aliases.get() : domain.aliases.get();
        if (const Alias* alias = find_in(table, local)) return {alias, common, std::string(local)};
        if (user) {
            if (const Alias* alias = find_in(table, *user)) return {alias, common, *user};
        }
        if (const Alias* alias = find_wild(table, local)) return {alias, common, std::string(local)};
        if (user) {
            if (const Alias* alias = find_wild(table, *user)) return {alias, common, *user};
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

bool has_alias(const Tables& tables, const LocalDomain& domain, std::string_view name) {
    if (find_in(domain.aliases.get(), name) != nullptr) return true;
    if (domain.aliases != nullptr && !tables.alias_fallthrough) return false;
    return find_in(tables.common_aliases.get(), name) != nullptr;
}

std::optional<std::string> without_detail(const Tables& tables, std::string_view local) {
    if (local.find_first_of(tables.recipient_delimiter, 1) == std::string_view::npos) return std::nullopt;
    mail::SplitLocalPart split = mail::split_detail(local, tables.recipient_delimiter);
    if (!split.detail) return std::nullopt;
    return std::move(split.user);
}

}  // namespace postrider::router
