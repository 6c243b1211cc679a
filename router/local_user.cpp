#include "router/local_user.h"

#include <optional>
#include <utility>

#include "router/users.h"

namespace postrider::router {

namespace {

void give_to_owner(SystemUser& user, const LocalDomain& domain) {
    if (!domain.owner) return;
    user.uid = domain.owner->ids.uid;
    user.gid = domain.owner->ids.gid;
}

LocalUserAnswer virtual_user(const LocalDomain& domain, const std::string& name) {
    LocalUserAnswer answer;
    VirtualUserAnswer found = domain.users->find(name);
    if (!found) {
        answer.state = FactState::Unavailable;
        answer.unclear_table = found.error().text;
    } else if (*found) {
        answer.state = FactState::Known;
        answer.user.name = std::move((*found)->name);
        answer.user.forward = std::move((*found)->forward);
        answer.user.position = std::move((*found)->position);
        answer.user.rights.name = domain.owner->name;
        answer.user.rights.home = std::move((*found)->home);
        give_to_owner(answer.user.rights, domain);
    }
    return answer;
}

}  // namespace

LocalUserAnswer find_exact_user(const LocalDomain& domain, const std::string& name, Facts& facts) {
    if (domain.users) return virtual_user(domain, name);
    LocalUserAnswer answer;
    if (!can_be_user_name(name)) return answer;
    const UserAnswer found = facts.system_user(name);
    answer.state = found.state;
    if (found.state == FactState::Known) {
        answer.user.name = name;
        answer.user.rights = *found.user;
        give_to_owner(answer.user.rights, domain);
    }
    return answer;
}

LocalUserAnswer find_local_user(const Tables& tables, const LocalDomain& domain, const std::string& local,
                                Facts& facts) {
    LocalUserAnswer answer = find_exact_user(domain, local, facts);
    if (answer.state != FactState::Unknown) return answer;
    const std::optional<std::string> user = without_detail(tables, local);
    return user ? find_exact_user(domain, *user, facts) : answer;
}

}  // namespace postrider::router
