#include "supervisor/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace postrider::supervisor {

namespace {

constexpr int kFirstPassed = 3;  // SD_LISTEN_FDS_START of sd_listen_fds(3)

/// Puts the sockets at 3, 4, … They may stand in each other's way, so they first go above all of those
/// places.
bool place_sockets(const std::vector<Fd>& sockets) {
    const int count = static_cast<int>(sockets.size());
    std::vector<int> aside;
    for (const Fd& socket : sockets) {
        int copy = ::fcntl(socket.get(), F_DUPFD_CLOEXEC, kFirstPassed + count);
        if (copy < 0) return false;
        aside.push_back(copy);
    }
    for (int n = 0; n < count; ++n) {
        // dup2 clears close-on-exec on the copy, which is the point.
        if (::dup2(aside[static_cast<std::size_t>(n)], kFirstPassed + n) < 0) return false;
    }
    return true;
}

void announce_sockets(std::size_t count) {
    if (count == 0) {
        for (const char* name : {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"})
            ::unsetenv(name);
        return;
    }
    ::setenv("LISTEN_FDS", std::to_string(count).c_str(), 1);
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
}

/// Runs in the child, which is a copy of a process with one thread, so any function may be called.
[[noreturn]] void become(const std::string& path, std::vector<char*>& argv, const std::vector<Fd>& sockets,
                         int report) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    for (int number : {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGPIPE})
        std::signal(number, SIG_DFL);
    // A process group of its own: Ctrl-C on a terminal reaches only the supervisor, which stops in order.
    static_cast<void>(::setpgid(0, 0));
    int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    bool ready = null >= 0 && ::dup2(null, STDIN_FILENO) >= 0 && place_sockets(sockets);
    // Whatever else our own starter left open in us is not the daemon's.
    const auto first_other = static_cast<unsigned>(kFirstPassed) + static_cast<unsigned>(sockets.size());
    ready = ready && ::close_range(first_other, ~0U, CLOSE_RANGE_CLOEXEC) == 0;
    if (ready) {
        announce_sockets(sockets.size());
        ::execv(path.c_str(), argv.data());
    }
    int reason = errno;
    static_cast<void>(!::write(report, &reason, sizeof reason));
    ::_exit(127);
}

}  // namespace

Result<pid_t> start_process(const std::string& path, const std::vector<std::string>& arguments,
                            const std::vector<Fd>& sockets) {
    std::vector<std::string> words;
    words.push_back(path);
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (auto& word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);

    // Closed by a successful exec; otherwise it brings the reason why there was none.
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return system_failure("pipe", errno);
    Fd read_end(ends[0]);
    Fd write_end(ends[1]);
    // The child's report must not lie where the sockets go.
    Fd report(::fcntl(write_end.get(), F_DUPFD_CLOEXEC, kFirstPassed + static_cast<int>(sockets.size())));
    if (!report) return system_failure("fcntl", errno);

    pid_t child = ::fork();
    if (child < 0) return system_failure("fork", errno);
    if (child == 0) become(path, argv, sockets, report.get());
    write_end.reset();
    report.reset();
    int reason = 0;
    ssize_t got = ::read(read_end.get(), &reason, sizeof reason);
    // The child reports its own end through SIGCHLD in either case; here only the reason is added.
    if (got == static_cast<ssize_t>(sizeof reason))
        return system_failure(fmt::format("cannot run {}", path), reason);
    return child;
}

}  // namespace postrider::supervisor
