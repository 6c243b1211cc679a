#pragma once

#include <sys/socket.h>

#include "libcommon/async/loop.h"
#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"

namespace postrider::async {

/// A non-blocking socket of `type` (SOCK_STREAM or SOCK_DGRAM) connected to `address`, whose `length` bytes
/// are used. Error: Temporary, when the peer refuses, cannot be reached, or is not connected by the deadline.
Task<Result<Fd>> connect_socket(Loop& loop, int type, sockaddr_storage address, socklen_t length,
                                Deadline deadline);

}  // namespace postrider::async
