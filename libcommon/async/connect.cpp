#include "libcommon/async/connect.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <cerrno>

#include "libcommon/async/watch.h"

namespace postrider::async {

Task<Result<Fd>> connect_socket(Loop& loop, int type, sockaddr_storage address, socklen_t length,
                                Deadline deadline) {
    Fd socket(::socket(address.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket) co_return system_failure("socket", errno);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0) {
        co_return std::move(socket);
    }
    if (errno != EINPROGRESS) co_return system_failure("connect", errno);
    Watch watch(loop, socket.get());
    auto ready = co_await watch.writable(deadline);
    if (ready == Ready::TimedOut) co_return temporary("connect: timed out");
    int problem = 0;
    socklen_t size = sizeof problem;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &problem, &size) < 0) problem = errno;
    if (problem != 0) co_return system_failure("connect", problem);
    co_return std::move(socket);
}

Result<Fd> connect_local(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        return permanent(fmt::format("{}: too long for the path of a socket", path));
    }
    path.copy(address.sun_path, path.size());
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return system_failure("socket", errno);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return system_failure(fmt::format("connect to {}", path), errno);
    }
    return socket;
}

}  // namespace postrider::async
