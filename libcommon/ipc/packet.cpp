#include "libcommon/ipc/packet.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace postrider::ipc {

namespace {

/// Takes ownership of every descriptor in the control messages, whether or not they were wanted.
std::vector<Fd> take_descriptors(msghdr& header) {
    std::vector<Fd> descriptors;
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t n = 0; n < count; ++n) {
            int descriptor = -1;
            std::memcpy(&descriptor, CMSG_DATA(part) + n * sizeof(int), sizeof descriptor);
            descriptors.emplace_back(descriptor);
        }
    }
    return descriptors;
}

}  // namespace

int send_packet(const Fd& socket, std::string_view data, const Fd& descriptor, int flags) {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    iovec part{const_cast<char*>(data.data()), data.size()};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (descriptor) {
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        cmsghdr* rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        const int number = descriptor.get();
        std::memcpy(CMSG_DATA(rights), &number, sizeof number);
    }
    ssize_t sent = -1;
    do {
        sent = ::sendmsg(socket.get(), &header, MSG_NOSIGNAL | flags);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? errno : 0;
}

ReceivedPacket receive_packet(const Fd& socket, std::span<char> block, int flags) {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxDescriptors)> control{};
    iovec part{block.data(), block.size()};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    ssize_t got = -1;
    do {
        got = ::recvmsg(socket.get(), &header, MSG_CMSG_CLOEXEC | flags);
    } while (got < 0 && errno == EINTR);
    ReceivedPacket packet;
    if (got < 0) {
        packet.error = errno;
        return packet;
    }
    packet.size = static_cast<std::size_t>(got);
    packet.descriptors = take_descriptors(header);
    packet.truncated = (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    return packet;
}

}  // namespace postrider::ipc
