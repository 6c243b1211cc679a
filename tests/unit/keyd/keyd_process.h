#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "libcommon/base/clock.h"
#include "libcommon/config/settings.h"
#include "tests/unit/tls/test_certificates.h"

namespace postrider::keyd::test {

/// A folder with a configuration and certificates, and keyd as a process of its own working in it. Whoever
/// runs the test plays smtpd.
class KeydProcess {
  public:
    KeydProcess() {
        std::string pattern = (std::filesystem::temp_directory_path() / "keyd-test-XXXXXX").string();
        root_ = ::mkdtemp(pattern.data());
        for (const char* name : {"etc", "run"})
            std::filesystem::create_directory(root_ / name);
    }
    ~KeydProcess() {
        if (pid_ > 0) static_cast<void>(stop(SIGKILL));
        std::filesystem::remove_all(root_);
    }
    KeydProcess(const KeydProcess&) = delete;
    KeydProcess& operator=(const KeydProcess&) = delete;

    [[nodiscard]] std::string path(const std::string& name) const { return (root_ / name).string(); }

    void write(const std::string& name, const std::string& text) const {
        // By a new name and a rename, as editors and certbot do it: nobody sees half a file.
        std::ofstream(root_ / (name + ".new"), std::ios::binary) << text;
        std::filesystem::rename(root_ / (name + ".new"), root_ / name);
    }
    void write_pair(const std::string& name, const tls::test::MadePair& pair) const {
        write("etc/" + name + ".pem", pair.chain);
        write("etc/" + name + ".key", pair.key);
    }
    /// The lines begin at line 7 of the file.
    void configure(const std::string& lines) const {
        write("etc/postrider.conf",
              "hostname mx.test\nrun_dir ../run\nspool_dir ../spool\nstate_dir ../state\ntable_poll_interval "
              "1s\n"
              "user smtpd " +
                  std::to_string(::getuid()) + "\n" + lines);
    }
    [[nodiscard]] config::Settings settings() const {
        auto loaded = config::load(path("etc/postrider.conf"));
        for (const std::string& error : loaded.errors)
            throw std::runtime_error(error);
        return std::move(*loaded.settings);
    }

    [[nodiscard]] std::string log() const {
        std::ifstream file(root_ / "log");
        std::stringstream text;
        text << file.rdbuf();
        return text.str();
    }
    /// Whether the log comes to contain `text` within a few seconds.
    [[nodiscard]] bool logs(const std::string& text) const {
        for (int tries = 0; tries < 400; ++tries) {
            if (log().find(text) != std::string::npos) return true;
            std::this_thread::sleep_for(Milliseconds(25));
        }
        return false;
    }

    void start(const std::string& more_argument = {}) {
        const std::string config = path("etc/postrider.conf");
        pid_ = ::fork();
        if (pid_ != 0) return;
        const int log_file = ::open(path("log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        ::dup2(log_file, STDERR_FILENO);
        ::dup2(log_file, STDOUT_FILENO);
        // A test that fails may end without its destructors.
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        const char* argument = more_argument.empty() ? nullptr : more_argument.c_str();
        ::execl(KEYD_EXECUTABLE, KEYD_EXECUTABLE, "--config", config.c_str(), argument, nullptr);
        ::_exit(127);
    }
    /// Waits for the end; the exit status, or minus the signal.
    [[nodiscard]] int wait() {
        int status = 0;
        ::waitpid(pid_, &status, 0);
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
    [[nodiscard]] int stop(int number = SIGTERM) {
        ::kill(pid_, number);
        return wait();
    }
    [[nodiscard]] pid_t pid() const { return pid_; }

  private:
    std::filesystem::path root_;
    pid_t pid_ = -1;
};

}  // namespace postrider::keyd::test
