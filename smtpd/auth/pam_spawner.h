#pragma once

#include <functional>
#include <string_view>

#include "libcommon/base/fd.h"
#include "smtpd/auth/pam_protocol.h"

namespace postrider::auth {

/// What a helper does with a request.
using PamCheck = std::function<PamReply(const PamRequest&)>;

/// Forks the spawner: a process with one thread that keeps the rights of this one (root, where there is
/// root), starts helpers and ends them when it is told to. authd itself has threads and no rights, and can do
/// neither. Called before this process opens anything and before its first thread.
///
/// Returns the socket over which the spawner takes slot numbers: each order ends the helper that the slot
/// has, starts a new one, and is answered with the number and the helper's socket (without one, if it could
/// not be started). When the socket is closed, the spawner ends all helpers, whatever they are doing, and
/// itself. `confine` is called in the spawner first. Throws std::runtime_error if the system gives no
/// process.
[[nodiscard]] Fd start_pam_spawner(const PamCheck& check, const std::function<void()>& confine);

}  // namespace postrider::auth
