#include "smtpd/listening_sockets.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <system_error>

#include "libcommon/log/log.h"

namespace postrider::smtpd {

namespace {

using config::Limit;
using config::ListenerKind;

constexpr int kFirstInherited = 3;         // SD_LISTEN_FDS_START of sd_listen_fds(3)
constexpr mode_t kLocalSocketMode = 0666;  // every user of the machine may send mail

int number_from_environment(const char* name) {
    const char* text = std::getenv(name);
    if (text == nullptr) return 0;
    int value = 0;
    const char* end = text + std::strlen(text);
    const auto [rest, error] = std::from_chars(text, end, value);
    return error == std::errc() && rest == end ? value : 0;
}

[[noreturn]] void fail(const config::Listener& listener, std::string_view step) {
    throw std::runtime_error(
        fmt::format("listen {}: {}: {}", listener.endpoint_text(), step, std::strerror(errno)));
}

// The name under which a local socket is bound: bare inside run_dir, where we are, so that neither the rights
// of the folders above nor the 108 octets of sun_path matter.
std::string bind_name(const config::Listener& listener, const config::Settings& settings) {
    const std::string prefix = settings.run_dir + "/";
    if (listener.path.starts_with(prefix)) return listener.path.substr(prefix.size());
    return listener.path;
}

sockaddr_un local_address(const std::string& name, const config::Listener& listener) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (name.size() >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        fail(listener, "bind");
    }
    name.copy(address.sun_path, sizeof(address.sun_path) - 1);
    return address;
}

Fd bind_local(const config::Listener& listener, const config::Settings& settings) {
    const std::string name = bind_name(listener, settings);
    const sockaddr_un address = local_address(name, listener);
    Fd bound(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!bound) fail(listener, "socket");
    // A socket file outlives its process, and bind() refuses a name that exists.
    if (::unlink(name.c_str()) < 0 && errno != ENOENT) fail(listener, "unlink");
    if (::bind(bound.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) < 0) {
        fail(listener, "bind");
    }
    if (::chmod(name.c_str(), kLocalSocketMode) < 0) fail(listener, "chmod");
    return bound;
}

Fd bind_internet(const config::Listener& listener) {
    sockaddr_storage address{};
    const config::Endpoint endpoint{listener.address, listener.port};
    const socklen_t length = endpoint.to_socket(address);
    Fd bound(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!bound) fail(listener, "socket");
    const int on = 1;
    // Without it a restart would have to wait until the connections of the last process have timed out.
    if (::setsockopt(bound.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        fail(listener, "SO_REUSEADDR");
    // [::] must not take 0.0.0.0 along, which has a line of its own.
    if (address.ss_family == AF_INET6 &&
        ::setsockopt(bound.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) {
        fail(listener, "IPV6_V6ONLY");
    }
    if (::bind(bound.get(), reinterpret_cast<const sockaddr*>(&address), length) < 0) fail(listener, "bind");
    return bound;
}

Fd open_socket(const config::Listener& listener, const config::Settings& settings) {
    Fd bound =
        listener.kind == ListenerKind::Local ? bind_local(listener, settings) : bind_internet(listener);
    const int backlog = static_cast<int>(settings.limits.size(Limit::ListenBacklog));
    if (::listen(bound.get(), backlog) < 0) fail(listener, "listen");
    return bound;
}

bool is_for(const Fd& socket, const config::Listener& listener) {
    sockaddr_storage address{};
    socklen_t length = sizeof(address);
    if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) < 0) return false;
    if (address.ss_family == AF_UNIX) {
        const auto& local = reinterpret_cast<const sockaddr_un&>(address);
        return listener.kind == ListenerKind::Local && listener.path == local.sun_path;
    }
    const auto ip = config::IpAddress::from_socket(address);
    if (!ip || listener.kind == ListenerKind::Local || *ip != listener.address) return false;
    const in_port_t port = address.ss_family == AF_INET
                               ? reinterpret_cast<const sockaddr_in&>(address).sin_port
                               : reinterpret_cast<const sockaddr_in6&>(address).sin6_port;
    return ntohs(port) == listener.port;
}

// Replies leave when they are ready: a dialogue is all small segments, and the algorithm that saves some of
// them waits for the other side to acknowledge the last one. Accepted connections inherit it.
void send_at_once(const ListeningSocket& opened, const config::Listener& listener) {
    const int on = 1;
    if (listener.kind == ListenerKind::Local) return;
    if (::setsockopt(opened.socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        fail(listener, "TCP_NODELAY");
}

// The inherited socket for `listener`, taken out of `inherited`; empty if there is none.
Fd take_inherited(const config::Listener& listener, std::vector<Fd>& inherited) {
    for (Fd& socket : inherited) {
        if (!socket || !is_for(socket, listener)) continue;
        const int flags = ::fcntl(socket.get(), F_GETFL);
        if (flags < 0 || ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) < 0) fail(listener, "fcntl");
        return std::move(socket);
    }
    return {};
}

}  // namespace

std::vector<Fd> inherited_sockets() {
    std::vector<Fd> sockets;
    if (number_from_environment("LISTEN_PID") == ::getpid()) {
        const int count = number_from_environment("LISTEN_FDS");
        for (int descriptor = kFirstInherited; descriptor < kFirstInherited + count; ++descriptor) {
            if (::fcntl(descriptor, F_SETFD, FD_CLOEXEC) < 0) break;  // promised, but not there
            sockets.emplace_back(descriptor);
        }
    }
    for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"})
        ::unsetenv(name);
    return sockets;
}

std::vector<ListeningSocket> open_listening_sockets(const config::Settings& settings,
                                                    std::vector<Fd> inherited) {
    std::vector<ListeningSocket> sockets;
    for (std::size_t index = 0; index < settings.listeners.size(); ++index) {
        const config::Listener& listener = settings.listeners[index];
        if (listener.kind == ListenerKind::Lmtp) {
            throw std::runtime_error(
                fmt::format("listen {}: this version does not speak lmtp", listener.endpoint_text()));
        }
        ListeningSocket opened;
        opened.listener = index;
        opened.socket = take_inherited(listener, inherited);
        if (!opened.socket) opened.socket = open_socket(listener, settings);
        send_at_once(opened, listener);
        sockets.push_back(std::move(opened));
    }
    for (const Fd& socket : inherited) {
        if (socket) log::warning("no listen line for an inherited socket").add("descriptor", socket.get());
    }
    return sockets;
}

}  // namespace postrider::smtpd
