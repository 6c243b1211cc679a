#pragma once

#include <sys/types.h>

#include <optional>

#include "libcommon/ipc/channel.h"
#include "libcommon/ipc/queue.pb.h"

namespace postrider::ipc {

/// The users the daemons run as; nullopt when the suite runs as one ordinary user.
struct RoleUsers {
    std::optional<uid_t> smtpd;
    std::optional<uid_t> queue_manager;
    std::optional<uid_t> remote_delivery;
    std::optional<gid_t> readers;  ///< whose members may look at the queue
};

/// Whether the peer may act in `role`. Decided from what the kernel says of it, never from what it says:
/// root is local-delivery or an administrator, each daemon's own user is that daemon, and where the whole
/// suite runs as one ordinary user that user is everything. A reader may also be the queue-manager's own user
/// and any member of the group of readers. Any other user is nobody.
[[nodiscard]] bool may_act_as(wire::Role role, const PeerCredentials& peer, const RoleUsers& users);

}  // namespace postrider::ipc
