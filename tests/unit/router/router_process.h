#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "libcommon/base/fd.h"
#include "libcommon/ipc/packet.h"
#include "libcommon/ipc/router.pb.h"
#include "tests/unit/daemon_process.h"

namespace postrider::router::test {

/// The router as a process of its own.
class RouterProcess : public postrider::test::DaemonProcess {
  public:
    RouterProcess() : DaemonProcess(ROUTER_EXECUTABLE, "router") {}

    /// Starts the router and waits until it can be connected to, or has ended.
    void start(const std::vector<std::string>& arguments = {}) {
        launch(arguments);
        if (!logs("started local_domains=") && ::kill(pid(), 0) == 0)
            throw std::runtime_error("the router does not start");
    }
};

/// A connection to router.sock. Every call waits; the end of the connection is an empty answer.
class RouterPeer {
  public:
    RouterPeer(const RouterProcess& router, wire::Role role) : RouterPeer(router) {
        wire::RouterRequest hello;
        hello.mutable_hello()->set_role(role);
        send(hello);
    }
    explicit RouterPeer(const RouterProcess& router)
        : socket_(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        router.path("run/router.sock").copy(address.sun_path, sizeof address.sun_path - 1);
        if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
            throw std::runtime_error("cannot connect to the router");
        }
        timeval patience{20, 0};
        ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    }

    void send(const wire::RouterRequest& request) { send_raw(request.SerializeAsString()); }
    void send_raw(const std::string& data) { ::send(socket_.get(), data.data(), data.size(), MSG_NOSIGNAL); }

    /// Sends a frame with a descriptor.
    void send_descriptor(const wire::RouterRequest& request) {
        static_cast<void>(ipc::send_packet(socket_, request.SerializeAsString(), Fd(::dup(STDERR_FILENO))));
    }

    [[nodiscard]] std::optional<wire::RouterReply> receive() {
        std::string data(std::size_t{128} * 1024, '\0');
        const ssize_t size = ::recv(socket_.get(), data.data(), data.size(), 0);
        wire::RouterReply reply;
        if (size <= 0 || !reply.ParseFromArray(data.data(), static_cast<int>(size))) return std::nullopt;
        return reply;
    }
    [[nodiscard]] std::optional<wire::RouterReply> ask(wire::RouterRequest request) {
        request.set_id(++id_);
        send(request);
        std::optional<wire::RouterReply> reply = receive();
        if (reply && reply->id() != id_) return std::nullopt;
        return reply;
    }
    /// Whether the router has ended the connection.
    [[nodiscard]] bool ended() {
        char octet = 0;
        return ::recv(socket_.get(), &octet, 1, 0) == 0 || errno == ECONNRESET;
    }

  private:
    Fd socket_;
    std::uint64_t id_ = 0;
};

}  // namespace postrider::router::test
