#include "libcommon/ipc/roles.h"

#include <unistd.h>

#include <algorithm>

namespace postrider::ipc {

bool may_act_as(wire::Role role, const PeerCredentials& peer, const RoleUsers& users) {
    // Without users of their own all daemons share ours.
    uid_t own = ::geteuid();
    switch (role) {
        case wire::ROLE_SMTPD:
            return peer.uid == users.smtpd.value_or(own);
        case wire::ROLE_QUEUE_MANAGER:
            return peer.uid == users.queue_manager.value_or(own);
        case wire::ROLE_REMOTE_DELIVERY:
            return peer.uid == users.remote_delivery.value_or(own);
        case wire::ROLE_LOCAL_DELIVERY:
        case wire::ROLE_ADMIN:
            return peer.uid == 0 || (!users.queue_manager && peer.uid == own);
        case wire::ROLE_READER:
            if (peer.uid == 0 || peer.uid == own || peer.uid == users.queue_manager.value_or(own))
                return true;
            return users.readers &&
                   (peer.gid == *users.readers ||
                    std::find(peer.groups.begin(), peer.groups.end(), *users.readers) != peer.groups.end());
        default:
            return false;
    }
}

}  // namespace postrider::ipc
