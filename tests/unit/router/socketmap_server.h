#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "libcommon/base/fd.h"

namespace postrider::router::test {

/// A socketmap server on a local socket, in a thread of its own; it says what a test tells it to say.
class SocketmapServer {
  public:
    /// What to send for a question, octet for octet; nullopt: closes the connection. An empty text: nothing.
    using Answer = std::function<std::optional<std::string>(const std::string& question)>;

    SocketmapServer(std::string path, Answer answer) : path_(std::move(path)), answer_(std::move(answer)) {
        listener_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path_.copy(address.sun_path, sizeof address.sun_path - 1);
        ::unlink(path_.c_str());
        if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ||
            ::listen(listener_.get(), 64) < 0) {
            throw std::runtime_error("cannot listen on " + path_);
        }
        ::chmod(path_.c_str(), 0666);
        thread_ = std::thread([this] { serve(); });
    }
    ~SocketmapServer() {
        ended_ = true;
        thread_.join();
        ::unlink(path_.c_str());
    }
    SocketmapServer(const SocketmapServer&) = delete;
    SocketmapServer& operator=(const SocketmapServer&) = delete;

    [[nodiscard]] std::vector<std::string> questions() const {
        const std::lock_guard lock(mutex_);
        return questions_;
    }
    [[nodiscard]] unsigned connections() const { return connections_; }

    [[nodiscard]] static std::string netstring(const std::string& text) {
        return std::to_string(text.size()) + ":" + text + ",";
    }

  private:
    void serve() {
        while (!ended_) {
            std::vector<pollfd> watched{{listener_.get(), POLLIN, 0}};
            for (const auto& [number, connection] : open_)
                watched.push_back({number, POLLIN, 0});
            constexpr int kPatience = 10;
            if (::poll(watched.data(), watched.size(), kPatience) <= 0) continue;
            for (const pollfd& one : watched) {
                if (one.revents == 0) continue;
                if (one.fd == listener_.get()) {
                    Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
                    const int number = socket.get();
                    open_[number].socket = std::move(socket);
                    ++connections_;
                } else if (!talk(open_[one.fd])) {
                    open_.erase(one.fd);
                }
            }
        }
    }

    struct Connection {
        Fd socket;
        std::string input;
    };

    bool talk(Connection& connection) {
        char block[4096];
        const ssize_t got = ::recv(connection.socket.get(), block, sizeof block, 0);
        if (got <= 0) return false;
        connection.input.append(block, static_cast<std::size_t>(got));
        std::size_t length = 0;
        const std::size_t colon = connection.input.find(':');
        if (colon == std::string::npos) return true;
        std::from_chars(connection.input.data(), connection.input.data() + colon, length);
        if (connection.input.size() < colon + 1 + length + 1) return true;
        const std::string question = connection.input.substr(colon + 1, length);
        connection.input.erase(0, colon + 1 + length + 1);
        {
            const std::lock_guard lock(mutex_);
            questions_.push_back(question);
        }
        const std::optional<std::string> reply = answer_(question);
        if (!reply) return false;
        return ::send(connection.socket.get(), reply->data(), reply->size(), MSG_NOSIGNAL) >= 0;
    }

    std::string path_;
    Answer answer_;
    Fd listener_;
    std::map<int, Connection> open_;
    mutable std::mutex mutex_;
    std::vector<std::string> questions_;
    std::atomic<unsigned> connections_{0};
    std::atomic<bool> ended_{false};
    std::thread thread_;
};

}  // namespace postrider::router::test
