#pragma once

#include <sys/socket.h>

#include <string>

#include "libcommon/async/loop.h"
#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"

namespace postrider::async {

/// A non-blocking socket of `type` (SOCK_STREAM or SOCK_DGRAM) connected to `address`, whose `length` bytes
/// are used. Error: Temporary, when the peer refuses, cannot be reached, or is not connected by the deadline.
Task<Result<Fd>> connect_socket(Loop& loop, int type, sockaddr_storage address, socklen_t length,
                                Deadline deadline);

/// A non-blocking socket connected to the local stream socket at `path`, at once: connecting to one does not
/// wait. Error: Temporary, nobody listens there or too many wait to be accepted; Permanent: the path is too
/// long for a socket.
[[nodiscard]] Result<Fd> connect_local(const std::string& path);

}  // namespace postrider::async
