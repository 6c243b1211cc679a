#include "libcommon/async/listen.h"

#include <netinet/in.h>

#include <cerrno>

namespace postrider::async {

Result<Fd> listen_tcp(const sockaddr_storage& address, socklen_t length, int backlog) {
    Fd socket(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return system_failure("socket", errno);
    const int on = 1;
    // Without it a restart would have to wait until the connections of the last process have timed out.
    if (::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) {
        return system_failure("SO_REUSEADDR", errno);
    }
    if (address.ss_family == AF_INET6 &&
        ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) {
        return system_failure("IPV6_V6ONLY", errno);
    }
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
        return system_failure("bind", errno);
    }
    if (::listen(socket.get(), backlog) != 0) return system_failure("listen", errno);
    return socket;
}

}  // namespace postrider::async
