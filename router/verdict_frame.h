#pragma once

#include "libcommon/ipc/router.pb.h"
#include "router/policy.h"

namespace postrider::router {

/// Writes a verdict into the frame in which it is told.
void fill(wire::Verdict& frame, const Verdict& verdict);

}  // namespace postrider::router
