#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "libcommon/base/fd.h"

/// Packets of a Unix socket and the descriptors that travel with them: the system calls, and nothing that
/// waits.
namespace postrider::ipc {

/// Descriptors that one packet may carry.
inline constexpr std::size_t kMaxDescriptors = 4;

/// Sends `data` as one packet, with `descriptor` if it is one. `flags` of send(2) besides MSG_NOSIGNAL.
/// Returns 0 or the errno.
[[nodiscard]] int send_packet(const Fd& socket, std::string_view data, const Fd& descriptor, int flags = 0);

struct ReceivedPacket {
    int error = 0;         ///< errno, EAGAIN if nothing is there
    std::size_t size = 0;  ///< octets in the block; none: the peer has closed
    std::vector<Fd> descriptors;
    bool truncated = false;  ///< the packet, or what came with it, was larger than there was room for
};

/// Receives one packet into `block`. `flags` of recv(2).
[[nodiscard]] ReceivedPacket receive_packet(const Fd& socket, std::span<char> block, int flags = 0);

}  // namespace postrider::ipc
