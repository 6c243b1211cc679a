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
#include "libcommon/ipc/auth.pb.h"

namespace postrider::auth::test {

/// A folder with a configuration, and authd as a process of its own working in it. Whoever runs the test
/// plays smtpd and administrator; as root authd becomes another user.
class AuthdProcess {
  public:
    AuthdProcess() {
        std::string pattern = (std::filesystem::temp_directory_path() / "authd-test-XXXXXX").string();
        root_ = ::mkdtemp(pattern.data());
        std::filesystem::permissions(root_, std::filesystem::perms(0755));
        for (const char* name : {"etc", "run"})
            std::filesystem::create_directory(root_ / name);
    }
    ~AuthdProcess() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
        std::filesystem::remove_all(root_);
    }
    AuthdProcess(const AuthdProcess&) = delete;
    AuthdProcess& operator=(const AuthdProcess&) = delete;

    /// Writes etc/NAME as an editor does; postrider.conf gets the lines that every test needs in front.
    void write(const std::string& name, std::string text) const {
        if (name == "postrider.conf") {
            const std::string self = std::to_string(::getuid());
            text =
                "hostname mx2.test\nrun_dir ../run\nspool_dir ../spool\nstate_dir ../state\n"
                "user authd 65533\nuser remote-delivery 65532\nuser smtpd " +
                self + "\nuser queue-manager " + self + "\ntable_poll_interval 1s\n" + text;
        }
        const std::filesystem::path staging = root_ / "etc" / (name + ".editing");
        std::ofstream(staging, std::ios::binary) << text;
        std::filesystem::rename(staging, root_ / "etc" / name);
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
        for (int i = 0; i < 400; ++i) {
            if (log().find(text) != std::string::npos) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
        return false;
    }

    /// Starts authd and waits until it can be connected to. `mounts` are shell commands that are run before
    /// it, in a mount namespace of its own, which only root can have.
    void start(const std::string& mounts = {}) {
        std::string command =
            std::string("exec ") + AUTHD_EXECUTABLE + " --config " + path("etc/postrider.conf");
        if (!mounts.empty()) command = mounts + " && " + command;
        std::vector<std::string> arguments = {"sh", "-c", command};
        if (!mounts.empty()) {
            arguments.insert(arguments.begin(), {"unshare", "--mount", "--propagation", "private", "--"});
        }
        std::vector<char*> words;
        words.reserve(arguments.size() + 1);
        for (std::string& argument : arguments)
            words.push_back(argument.data());
        words.push_back(nullptr);
        const std::string log_path = path("log");
        pid_ = ::fork();
        if (pid_ == 0) {
            const int log_file = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
            ::dup2(log_file, STDERR_FILENO);
            ::execvp(words[0], words.data());
            ::_exit(127);
        }
        if (!logs(" started methods=")) throw std::runtime_error("authd does not start: " + log());
    }
    [[nodiscard]] pid_t pid() const { return pid_; }
    void signal(int number) const { ::kill(pid_, number); }
    /// Waits for the end; the exit status, or 1000 and the signal.
    [[nodiscard]] int wait() {
        int status = 0;
        ::waitpid(pid_, &status, 0);
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    }
    /// The exit status of `authd --check`; what it prints goes to the log.
    [[nodiscard]] int check() const {
        const std::string command = std::string(AUTHD_EXECUTABLE) + " --check --config " +
                                    path("etc/postrider.conf") + " 2>>" + path("log");
        const int status = std::system(command.c_str());
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    }

  private:
    std::filesystem::path root_;
    pid_t pid_ = -1;
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
