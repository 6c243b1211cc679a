#include "router/tables.h"

#include <utility>

#include "libcommon/mail/local_part.h"

namespace postrider::router {

namespace {

const Alias* find_in(const AliasTable* table, std::string_view name) {
    if (table == nullptr) return nullptr;
    const auto found = table->find(name);
    return found == table->end() ? nullptr : &found->second;
}

}  // namespace

const LocalDomain* Tables::local_domain(std::string_view domain) const {
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
        const AliasTable* table = common ? tables.common_aliases.get() : domain.aliases.get();
        if (const Alias* alias = find_in(table, local)) return {alias, common};
        if (!user) continue;
        if (const Alias* alias = find_in(table, *user)) return {alias, common};
    }
    return {};
}

bool has_alias(const Tables& tables, const LocalDomain& domain, std::string_view name) {
    return find_in(domain.aliases.get(), name) != nullptr ||
           find_in(tables.common_aliases.get(), name) != nullptr;
}

std::optional<std::string> without_detail(const Tables& tables, std::string_view local) {
    if (local.find_first_of(tables.recipient_delimiter, 1) == std::string_view::npos) return std::nullopt;
    mail::SplitLocalPart split = mail::split_detail(local, tables.recipient_delimiter);
    if (!split.detail) return std::nullopt;
    return std::move(split.user);
}

}  // namespace postrider::router
