#include "router/tables.h"

#include <utility>

#include "libcommon/mail/local_part.h"

namespace postrider::router {

const LocalDomain* Tables::local_domain(std::string_view domain) const {
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
        const AliasTable* table = common ? tables.common_aliases.get() : domain.aliases.get();
        if (table == nullptr) continue;
        for (const std::string_view name : names) {
            AliasAnswer answer = table->find(name);
            if (!answer) return {nullptr, common, answer.error().text};
            if (*answer) return {std::move(*answer), common, {}};
        }
    }
    return {};
}

Result<bool> has_alias(const Tables& tables, const LocalDomain& domain, std::string_view name) {
    for (const AliasTable* table : {domain.aliases.get(), tables.common_aliases.get()}) {
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
