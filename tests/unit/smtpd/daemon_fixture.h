#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/smtpd/fake_daemons.h"

namespace postrider::smtpd::test {

/// The uid that smtpd drops to when the test is run by root; it needs no entry in the user database.
constexpr uid_t kSmtpdUid = 54321;

/// A child process of this test.
class Process {
  public:
    Process() = default;
    /// `descriptor_three` becomes descriptor 3 of the child, if it is one.
    explicit Process(const std::vector<std::string>& words, int descriptor_three = -1) {
        std::vector<char*> arguments;
        arguments.reserve(words.size() + 1);
        for (const std::string& word : words)
            arguments.push_back(const_cast<char*>(word.c_str()));
        arguments.push_back(nullptr);
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        if (descriptor_three >= 0) ::posix_spawn_file_actions_adddup2(&actions, descriptor_three, 3);
        const int error =
            ::posix_spawn(&pid_, words.front().c_str(), &actions, nullptr, arguments.data(), environ);
        ::posix_spawn_file_actions_destroy(&actions);
        if (error != 0) {
            throw std::runtime_error("cannot start " + words.front());
        }
    }
    Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
    Process& operator=(Process&& other) noexcept {
        std::swap(pid_, other.pid_);
        return *this;
    }
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process() {
        if (pid_ != 0) static_cast<void>(end(SIGKILL));
    }

    [[nodiscard]] pid_t pid() const { return pid_; }
    void signal(int number) const { ::kill(pid_, number); }
    /// Its exit code, or minus the signal that ended it.
    int wait() {
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
    int end(int number) {
        signal(number);
        return wait();
    }

  private:
    pid_t pid_ = 0;
};

/// A blocking client. Replies come as text; "closed" when the server has closed.
class Client {
  public:
    explicit Client(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connect_to(&address, sizeof(address));
    }
    explicit Client(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof(address.sun_path) - 1);
        connect_to(&address, sizeof(address));
    }

    void send(const std::string& octets) {
        std::size_t sent = 0;
        while (sent < octets.size()) {
            const ssize_t some =
                ::send(socket_.get(), octets.data() + sent, octets.size() - sent, MSG_NOSIGNAL);
            if (some <= 0) return;  // the next reply() shows it
            sent += static_cast<std::size_t>(some);
        }
    }
    /// The last line of the next reply.
    std::string reply() {
        while (true) {
            const std::size_t end = buffer_.find("\r\n");
            if (end == std::string::npos) {
                char block[4096];
                const ssize_t got = ::recv(socket_.get(), block, sizeof(block), 0);
                if (got <= 0) return got == 0 ? "closed" : "no reply";
                buffer_.append(block, static_cast<std::size_t>(got));
                continue;
            }
            std::string line = buffer_.substr(0, end);
            buffer_.erase(0, end + 2);
            if (line.size() < 4 || line[3] != '-') return line;
        }
    }
    std::string ask(const std::string& command) {
        send(command + "\r\n");
        return reply();
    }
    void close() { socket_.reset(); }

  private:
    template <typename Address>
    void connect_to(const Address* address, socklen_t length) {
        const timeval patience{60, 0};
        ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(address), length) != 0) {
            throw std::runtime_error("cannot connect");
        }
    }
    Fd socket_;
    std::string buffer_;
};

/// A folder with a configuration, a listener, workers and the two peers, all on the loopback.
class SmtpdFixture {
  public:
    /// `lines` are added to postrider.conf.
    explicit SmtpdFixture(const std::string& lines = "") {
        std::string name = "/tmp/postrider-smtpd-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
        folder_ = name;
        std::filesystem::permissions(folder_, std::filesystem::perms(0755));
        std::filesystem::create_directory(folder_ + "/run");
        port_ = free_port();
        std::ofstream(config()) << "hostname mx.test\nrun_dir run\nspool_dir spool\nstate_dir state\n"
                                << "listen 127.0.0.1:" << port_ << " smtp\n"
                                << "listen " << submit_socket() << " local\n"
                                << "local_domain local.test\n"
                                << "user smtpd " << kSmtpdUid << "\n"
                                << lines;
        if (::geteuid() == 0) users_.smtpd = kSmtpdUid;
        start_router();
        start_queue();
    }
    ~SmtpdFixture() {
        workers.clear();
        listener = Process();
        std::filesystem::remove_all(folder_);
    }
    SmtpdFixture(const SmtpdFixture&) = delete;
    SmtpdFixture& operator=(const SmtpdFixture&) = delete;

    void start_listener() { listener = Process({SMTPD_EXECUTABLE, "--config", config()}); }
    void start_worker() {
        const std::string number = std::to_string(workers.size() + 1);
        workers.emplace_back(
            std::vector<std::string>{SMTPD_EXECUTABLE, "--config", config(), "--worker", number});
    }
    /// A listener and a worker, ready to serve.
    void start() {
        start_listener();
        start_worker();
        wait_for_port();
    }
    /// Waits until the port is open; a client may then wait in the backlog.
    void wait_for_port() const {
        for (int attempt = 0; attempt < 600; ++attempt) {
            try {
                const Client probe(port_);
                return;
            } catch (const std::runtime_error&) {
                std::this_thread::sleep_for(Milliseconds(50));
            }
        }
        throw std::runtime_error("the port stays closed");
    }
    void start_router() {
        router_ = std::make_unique<RouterDaemon>(socket("router.sock"), users_, router_handler_);
    }
    void stop_router() { router_.reset(); }
    void start_queue() { queue_ = std::make_unique<QueueDaemon>(socket("queue.sock"), users_, queue); }
    void stop_queue() { queue_.reset(); }

    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] std::string config() const { return folder_ + "/postrider.conf"; }
    [[nodiscard]] std::string submit_socket() const { return folder_ + "/run/submit.sock"; }

    QueueHandler queue;
    Process listener;
    std::vector<Process> workers;

  private:
    [[nodiscard]] std::string socket(const std::string& name) const { return folder_ + "/run/" + name; }

    static std::uint16_t free_port() {
        const Fd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof(address);
        if (::bind(probe.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
            ::getsockname(probe.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
            throw std::runtime_error("no free port");
        }
        return ntohs(address.sin_port);
    }

    std::string folder_;
    std::uint16_t port_ = 0;
    ipc::RoleUsers users_;
    RouterHandler router_handler_;
    std::unique_ptr<RouterDaemon> router_;
    std::unique_ptr<QueueDaemon> queue_;
};

}  // namespace postrider::smtpd::test
