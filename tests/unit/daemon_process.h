#pragma once

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace postrider::test {

/// A folder with a configuration, and one daemon as a process of its own working in it. Whoever runs the test
/// plays the daemons that are its peers, so their users are the caller's; as root the daemon becomes another
/// user, 65533.
class DaemonProcess {
  public:
    /// `user`: the daemon's name in a `user` line.
    DaemonProcess(std::string executable, std::string user)
        : executable_(std::move(executable)), user_(std::move(user)) {
        std::string pattern = (std::filesystem::temp_directory_path() / (user_ + "-test-XXXXXX")).string();
        root_ = ::mkdtemp(pattern.data());
        // The daemon's user may have to read in here.
        std::filesystem::permissions(root_, std::filesystem::perms(0755));
        for (const char* name : {"etc", "run"})
            std::filesystem::create_directory(root_ / name);
    }
    ~DaemonProcess() {
        if (pid_ > 0) static_cast<void>(stop(SIGKILL));
        std::filesystem::remove_all(root_);
    }
    DaemonProcess(const DaemonProcess&) = delete;
    DaemonProcess& operator=(const DaemonProcess&) = delete;

    [[nodiscard]] std::string path(const std::string& name) const { return (root_ / name).string(); }

    /// The lines of postrider.conf that every test needs stand in front of the lines of this one.
    static constexpr int kLinesInFront = 9;

    /// Writes etc/NAME as editors and certbot do, beside it and then renamed, so that nobody sees half a
    /// file.
    void write(const std::string& name, std::string text) const {
        if (name == "postrider.conf") text = lines_in_front() + text;
        const std::filesystem::path staging = root_ / "etc" / (name + ".new");
        std::ofstream(staging, std::ios::binary) << text;
        std::filesystem::rename(staging, root_ / "etc" / name);
    }

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
        for (int tries = 0; tries < 800; ++tries) {
            if (condition()) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(25));
        }
        return false;
    }

    /// Starts the daemon with `arguments` besides --config; what it prints goes to the log. With `mounts`,
    /// shell commands, they are run before it, in a mount namespace of its own, which only root can have.
    void launch(const std::vector<std::string>& arguments, const std::string& mounts = {}) {
        std::vector<std::string> words = {executable_, "--config", path("etc/postrider.conf")};
        words.insert(words.end(), arguments.begin(), arguments.end());
        if (!mounts.empty()) {
            const std::vector<std::string> front = {
                "/usr/bin/unshare",         "--mount", "--propagation", "private", "--", "sh", "-c",
                mounts + " && exec \"$@\"", "sh"};
            words.insert(words.begin(), front.begin(), front.end());
        }
        std::vector<char*> pointers;
        pointers.reserve(words.size() + 1);
        for (std::string& word : words)
            pointers.push_back(word.data());
        pointers.push_back(nullptr);
        const std::string log_path = path("log");
        pid_ = ::fork();
        if (pid_ != 0) return;
        const int log_file = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        ::dup2(log_file, STDERR_FILENO);
        ::dup2(log_file, STDOUT_FILENO);
        // A test that fails may end without its destructors.
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::execv(pointers[0], pointers.data());
        ::_exit(127);
    }

    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] bool running() const { return ::waitpid(pid_, nullptr, WNOHANG) == 0; }
    void signal(int number) const { ::kill(pid_, number); }
    /// Waits for the end; the exit status, or 1000 and the signal.
    [[nodiscard]] int wait() {
        int status = 0;
        ::waitpid(pid_, &status, 0);
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    }
    [[nodiscard]] int stop(int number = SIGTERM) {
        signal(number);
        return wait();
    }
    /// Runs the daemon to its end, as start() and wait() do.
    [[nodiscard]] int run(const std::vector<std::string>& arguments) {
        launch(arguments);
        return wait();
    }

  private:
    [[nodiscard]] std::string lines_in_front() const {
        const std::string self = std::to_string(::getuid());
        std::string lines =
            "hostname mx2.test\nrun_dir ../run\nspool_dir ../spool\nstate_dir ../state\n"
            "table_poll_interval 1s\nuser remote-delivery 65532\n";
        for (const char* daemon : {"smtpd", "queue-manager"})
            lines += std::string("user ") + daemon + " " + self + "\n";
        return lines + "user " + (user_ == "keyd" ? "authd" : user_) + " 65533\n";
    }

    std::string executable_;
    std::string user_;
    std::filesystem::path root_;
    pid_t pid_ = -1;
};

}  // namespace postrider::test
