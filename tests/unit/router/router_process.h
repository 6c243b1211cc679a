#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "libcommon/base/fd.h"
#include "libcommon/ipc/router.pb.h"

namespace postrider::router::test {

/// A folder with a configuration, and the router as a process of its own working in it. Whoever runs the test
/// plays smtpd, queue-manager and administrator, so their users are the caller's; as root the router becomes
/// another user, who may not pass through the folder that holds everything.
class RouterProcess {
  public:
    RouterProcess() {
        std::string pattern = (std::filesystem::temp_directory_path() / "router-test-XXXXXX").string();
        root_ = ::mkdtemp(pattern.data());
        for (const char* name : {"etc", "run"})
            std::filesystem::create_directory(root_ / name);
    }
    ~RouterProcess() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
        std::filesystem::remove_all(root_);
    }
    RouterProcess(const RouterProcess&) = delete;
    RouterProcess& operator=(const RouterProcess&) = delete;

    /// Writes etc/NAME; postrider.conf gets the lines that every test needs in front.
    void write(const std::string& name, std::string text) const {
        if (name == "postrider.conf") {
            text =
                "hostname mx2.test\nrun_dir ../run\nspool_dir ../spool\nstate_dir ../state\n"
                "user router 65533\nuser remote-delivery 65532\nuser smtpd " +
                std::to_string(::getuid()) + "\nuser queue-manager " + std::to_string(::getuid()) +
                "\ntable_poll_interval 1s\n" + text;
        }
        std::ofstream(root_ / "etc" / name, std::ios::binary) << text;
    }
    [[nodiscard]] std::string path(const std::string& name) const { return (root_ / name).string(); }
    [[nodiscard]] std::string log() const {
        std::ifstream file(root_ / "log");
        std::stringstream text;
        text << file.rdbuf();
        return text.str();
    }
    /// Whether the log comes to contain `text` within a few seconds.
    [[nodiscard]] bool logs(const std::string& text) const {
        return eventually([&] { return log().find(text) != std::string::npos; });
    }
    template <typename Condition>
    [[nodiscard]] static bool eventually(Condition condition) {
        for (int i = 0; i < 400; ++i) {
            if (condition()) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
        return false;
    }

    /// Starts the router and waits until it can be connected to, or has ended.
    void start(const std::vector<std::string>& more_arguments = {}) {
        std::vector<std::string> arguments = {ROUTER_EXECUTABLE, "--config", path("etc/postrider.conf")};
        arguments.insert(arguments.end(), more_arguments.begin(), more_arguments.end());
        const std::string log_path = path("log");
        pid_ = ::fork();
        if (pid_ == 0) {
            const int log_file = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
            ::dup2(log_file, STDERR_FILENO);
            std::vector<char*> words;
            words.reserve(arguments.size() + 1);
            for (std::string& argument : arguments)
                words.push_back(argument.data());
            words.push_back(nullptr);
            ::execv(ROUTER_EXECUTABLE, words.data());
            ::_exit(127);
        }
        if (!logs("started local_domains=") && ::kill(pid_, 0) == 0)
            throw std::runtime_error("the router does not start");
    }
    void signal(int number) const { ::kill(pid_, number); }

    /// Waits for the end; the exit status, or 1000 and the signal.
    [[nodiscard]] int wait() {
        int status = 0;
        ::waitpid(pid_, &status, 0);
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    }
    [[nodiscard]] bool running() const { return ::waitpid(pid_, nullptr, WNOHANG) == 0; }

    /// Runs the router to its end with `arguments` besides --config.
    [[nodiscard]] int run(const std::vector<std::string>& arguments) {
        const pid_t pid = ::fork();
        if (pid == 0) {
            std::string command = std::string(ROUTER_EXECUTABLE) + " --config " + path("etc/postrider.conf");
            for (const std::string& argument : arguments)
                command += " " + argument;
            command += " 2>>" + path("log");
            ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
            ::_exit(127);
        }
        int status = 0;
        ::waitpid(pid, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    }

  private:
    std::filesystem::path root_;
    pid_t pid_ = -1;
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
        std::string data = request.SerializeAsString();
        iovec part{data.data(), data.size()};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        const int descriptor = STDERR_FILENO;
        std::copy_n(reinterpret_cast<const char*>(&descriptor), sizeof descriptor,
                    reinterpret_cast<char*>(CMSG_DATA(header)));
        ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
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
