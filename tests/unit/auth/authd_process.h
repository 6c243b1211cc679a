#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <optional>
#include <stdexcept>
#include <string>

#include "libcommon/base/fd.h"
#include "libcommon/ipc/auth.pb.h"
#include "tests/unit/daemon_process.h"

namespace postrider::auth::test {

/// authd as a process of its own.
class AuthdProcess : public postrider::test::DaemonProcess {
  public:
    AuthdProcess() : DaemonProcess(AUTHD_EXECUTABLE, "authd") {}

    /// Starts authd and waits until it can be connected to.
    void start(const std::string& mounts = {}) {
        launch({}, mounts);
        if (!logs(" started methods=")) throw std::runtime_error("authd does not start: " + log());
    }
};

/// A connection to auth.sock. Every call waits; the end of the connection is an empty answer.
class AuthPeer {
  public:
    AuthPeer(const AuthdProcess& authd, wire::Role role)
        : socket_(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        authd.path("run/auth.sock").copy(address.sun_path, sizeof address.sun_path - 1);
        if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
            throw std::runtime_error("cannot connect to authd");
        }
        timeval patience{20, 0};
        ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        wire::AuthRequest hello;
        hello.mutable_hello()->set_role(role);
        send(hello);
        if (role == wire::ROLE_SMTPD) static_cast<void>(receive());
    }

    void send(const wire::AuthRequest& request) {
        const std::string data = request.SerializeAsString();
        ::send(socket_.get(), data.data(), data.size(), MSG_NOSIGNAL);
    }
    /// The next frame; offers are remembered.
    std::optional<wire::AuthReply> receive() {
        std::string data(std::size_t{64} * 1024, '\0');
        const ssize_t size = ::recv(socket_.get(), data.data(), data.size(), 0);
        wire::AuthReply reply;
        if (size <= 0 || !reply.ParseFromArray(data.data(), static_cast<int>(size))) return std::nullopt;
        if (reply.has_offer()) {
            offer_.clear();
            for (const std::string& name : reply.offer().mechanisms())
                offer_ += name + " ";
        }
        return reply;
    }
    std::optional<wire::AuthReply> ask(wire::AuthRequest request) {
        request.set_id(++id_);
        send(request);
        std::optional<wire::AuthReply> reply = receive();
        while (reply && reply->id() == 0)
            reply = receive();
        return reply;
    }
    [[nodiscard]] const std::string& offer() const { return offer_; }

    /// Begins an exchange; its number is exchange().
    std::string begin(const std::string& mechanism, const std::optional<std::string>& initial,
                      const std::string& client = "192.0.2.1") {
        wire::AuthRequest request;
        request.mutable_begin()->set_exchange(++exchange_);
        request.mutable_begin()->set_mechanism(mechanism);
        request.mutable_begin()->set_client_address(client);
        if (initial) {
            request.mutable_begin()->set_has_initial(true);
            request.mutable_begin()->set_initial(*initial);
        }
        return text_of(ask(request));
    }
    std::string respond(const std::string& data) {
        wire::AuthRequest request;
        request.mutable_response()->set_exchange(exchange_);
        request.mutable_response()->set_data(data);
        return text_of(ask(request));
    }
    std::string plain(const std::string& login, const std::string& password,
                      const std::string& client = "192.0.2.1") {
        return begin("PLAIN", std::string(1, '\0') + login + std::string(1, '\0') + password, client);
    }
    [[nodiscard]] std::uint64_t exchange() const { return exchange_; }

    /// "challenge DATA", "accepted LOGIN", "rejected", …, "none".
    static std::string text_of(const std::optional<wire::AuthReply>& reply) {
        if (!reply) return "none";
        if (reply->has_challenge()) return "challenge " + reply->challenge().data();
        if (!reply->has_outcome()) return "another frame";
        switch (reply->outcome().result()) {
            case wire::AuthOutcome::ACCEPTED:
                return "accepted " + reply->outcome().login();
            case wire::AuthOutcome::REJECTED:
                return "rejected";
            case wire::AuthOutcome::MALFORMED:
                return "malformed";
            case wire::AuthOutcome::LOCKED:
                return "locked";
            default:
                return "unavailable";
        }
    }

  private:
    Fd socket_;
    std::uint64_t id_ = 0;
    std::uint64_t exchange_ = 0;
    std::string offer_;
};

}  // namespace postrider::auth::test
