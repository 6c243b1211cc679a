#pragma once

#include <string_view>

#include "libcommon/config/settings.h"
#include "libcommon/ipc/roles.h"
#include "libcommon/privsep/profile.h"

namespace postrider::daemon {

/// Who `daemon` becomes when it gives up root: the user of its `user` line. Without root, who we are anyway.
/// Throws std::runtime_error when there is no such user.
[[nodiscard]] privsep::Identity identity_of(const config::Settings& settings, std::string_view daemon);

/// The users by which a server knows its peers. All empty without root, when everything is one user.
/// Throws std::runtime_error when there is no such user.
[[nodiscard]] ipc::RoleUsers role_users(const config::Settings& settings);

}  // namespace postrider::daemon
