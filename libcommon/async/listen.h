#pragma once

#include <sys/socket.h>

#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"

namespace postrider::async {

/// A non-blocking TCP socket that listens on `address`, whose `length` bytes are used. An IPv6 socket takes
/// no IPv4 connections: they have a `listen` line of their own. Error: Temporary, naming the step that
/// failed.
[[nodiscard]] Result<Fd> listen_tcp(const sockaddr_storage& address, socklen_t length, int backlog);

}  // namespace postrider::async
