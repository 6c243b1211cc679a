#include "router/list_members.h"

#include <utility>

namespace postrider::router {

namespace {

/// Adds the addresses among `destinations`, and those of the lists that they include if `lists` is set.
void add_members(const std::vector<Destination>& destinations, const Address& own,
                 const std::string& bare_domain, const StringMap<IncludedList>* lists,
                 std::vector<std::string>& members) {
    for (const Destination& destination : destinations) {
        if (destination.is_own_user()) {
            members.push_back(own.text());
        } else if (destination.kind == Destination::Kind::Mail ||
                   destination.kind == Destination::Kind::User) {
            Address member = destination.address;
            if (member.domain.empty()) member.domain = bare_domain;
            members.push_back(member.text());
        } else if (destination.kind == Destination::Kind::Include && lists != nullptr) {
            const auto list = lists->find(destination.text);
            if (list == lists->end()) continue;
            add_members(list->second.destinations, own, bare_domain, nullptr, members);
        }
    }
}

}  // namespace

std::optional<std::vector<std::string>> list_members(const Address& list, const Tables& tables) {
    const LocalDomain* domain = tables.local_domain(list.domain);
    if (domain == nullptr) return std::nullopt;
    const AliasMatch match = find_alias(tables, *domain, folded(list.local));
    if (match.alias == nullptr) return std::nullopt;
    // As the expansion reads it: in the common file a name without domain is a user of the system.
    const bool elsewhere = match.common && domain->is_virtual;
    std::vector<std::string> members;
    add_members(match.alias->destinations, list, elsewhere ? tables.primary_domain : domain->name,
                &tables.lists, members);
    return members;
}

}  // namespace postrider::router
