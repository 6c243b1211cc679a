#include "libcommon/daemon/users.h"

#include <unistd.h>

#include <stdexcept>

namespace postrider::daemon {

privsep::Identity identity_of(const config::Settings& settings, std::string_view daemon) {
    if (::geteuid() != 0) return {::geteuid(), ::getegid(), {}};
    const config::DaemonUser* user = settings.user(daemon);
    if (user == nullptr) throw std::runtime_error("no user is configured for " + std::string(daemon));
    const auto ids = config::resolve_user(user->name);
    if (!ids) throw std::runtime_error(ids.error().text);
    return {ids->uid, ids->gid, {}};
}

ipc::RoleUsers role_users(const config::Settings& settings) {
    ipc::RoleUsers users;
    if (::geteuid() != 0) return users;
    users.smtpd = identity_of(settings, "smtpd").uid;
    users.queue_manager = identity_of(settings, "queue-manager").uid;
    users.remote_delivery = identity_of(settings, "remote-delivery").uid;
    return users;
}

}  // namespace postrider::daemon
