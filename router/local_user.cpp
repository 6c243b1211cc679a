#include "router/local_user.h"

#include <optional>
#include <utility>

#include "router/user_table.h"
#include "router/users.h"

namespace postrider::router {

namespace {

constexpr std::string_view kUsersUnclear = "the user database does not answer";

/// What the server of a `users=socket:` says.
LocalUser ask_server(const LocalDomain& domain, const std::string& name, Facts& facts,
                     std::optional<std::string>& value) {
    LocalUser user;
    // A name that a stranger chose becomes part of a path.
    if (!can_be_user_name(name)) return user;
    ExternalAnswer answer = facts.external_user({domain.users_socket, Address{name, domain.name}.text()});
    user.state = answer.state;
    user.text = kUsersUnclear;
    user.reason = std::move(answer.reason);
    if (answer.state == FactState::Known) value = *answer.value;
    return user;
}

/// A user of the domain's own.
LocalUser own_user(const LocalDomain& domain, const std::string& name, const Tables& tables, Facts& facts) {
    VirtualUserAnswer found = std::optional<VirtualUser>();
    if (domain.users) {
        found = domain.users->find(name);
    } else {
        std::optional<std::string> value;
        LocalUser answer = ask_server(domain, name, facts, value);
        if (!value) return answer;
        found = user_of_server(name, *value, domain.position, domain.mailbox.needs_home(),
                               tables.lookup_may_pipe);
    }
    LocalUser user;
    if (!found) {
        user.state = FactState::Unavailable;
        user.text = kTableUnclear;
        user.reason = std::move(found).error().text;
    } else if (*found) {
        user.state = FactState::Known;
        user.name = std::move((*found)->name);
        user.rights = SystemUser{domain.owner->name, domain.owner->ids.uid, domain.owner->ids.gid,
                                 std::move((*found)->home)};
        user.forward = std::move((*found)->forward);
        user.quota = (*found)->quota.value_or(domain.quota);
        user.position = std::move((*found)->position);
    }
    return user;
}

LocalUser system_user(const LocalDomain& domain, const std::string& name, Facts& facts) {
    LocalUser user;
    if (!can_be_user_name(name)) return user;
    const UserAnswer answer = facts.system_user(name);
    user.state = answer.state;
    user.text = kUsersUnclear;
    if (answer.state != FactState::Known) return user;
    user.name = name;
    user.rights = *answer.user;
    user.quota = domain.quota;
    if (domain.owner) {
        user.rights.uid = domain.owner->ids.uid;
        user.rights.gid = domain.owner->ids.gid;
    }
    return user;
}

}  // namespace

LocalUser find_local_user(const LocalDomain& domain, const std::string& name, const Tables& tables,
                          Facts& facts) {
    return domain.has_users() ? own_user(domain, name, tables, facts) : system_user(domain, name, facts);
}

}  // namespace postrider::router
