#include "libcommon/log/sink.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdlib>

#include "libcommon/log/format.h"

namespace postrider::log {
namespace {

/// How a line gets to the reader of standard error without waiting for ever.
enum class Output {
    File,      ///< write(2) does not wait for anybody.
    Socket,    ///< send(2) can be told not to wait.
    Waitable,  ///< A pipe or terminal: poll(2) says whether write(2) would wait. The descriptor is shared
               ///< with other processes, so that it cannot be made non-blocking for this one only.
};

/// How long a line waits for a reader that lags, in milliseconds. Only the first line that is lost costs it.
constexpr int kPatienceMs = 200;

/// The logger's state: one a process by nature, like the descriptor it writes to.
struct State {
    Settings settings;
    std::array<char, 64> daemon_storage{};
    Output output = Output::Waitable;
    std::atomic<bool> stalled = false;
    std::atomic<std::uint64_t> lost = 0;
    std::atomic<std::uint64_t> lost_reported = 0;
};

State& state() noexcept {
    static State instance;
    return instance;
}

Output output_kind(const struct stat& status) {
    if (S_ISSOCK(status.st_mode)) return Output::Socket;
    if (S_ISREG(status.st_mode)) return Output::File;
    return Output::Waitable;
}

/// JOURNAL_STREAM is "DEVICE:INODE" of the journal's socket (systemd.exec(5)). It is inherited even where
/// standard error was redirected, hence the comparison.
bool is_journal(const struct stat& status) {
    const char* variable = std::getenv("JOURNAL_STREAM");
    if (variable == nullptr) return false;
    std::string_view text = variable;
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    auto [colon, error] = std::from_chars(text.data(), text.data() + text.size(), device);
    if (error != std::errc{} || colon == text.data() + text.size() || *colon != ':') return false;
    auto [end, inode_error] = std::from_chars(colon + 1, text.data() + text.size(), inode);
    return inode_error == std::errc{} && device == status.st_dev && inode == status.st_ino;
}

bool wait_writable() {
    pollfd descriptor{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
    int ready = ::poll(&descriptor, 1, state().stalled ? 0 : kPatienceMs);
    return ready > 0 && (descriptor.revents & POLLOUT) != 0;
}

/// Writes all of `line`; false if standard error did not take it.
bool deliver(std::string_view line) {
    State& self = state();
    while (!line.empty()) {
        // A pipe that poll() calls writable takes PIPE_BUF bytes at once, and no line is longer.
        if (self.output == Output::Waitable && !wait_writable()) break;
        ssize_t written = self.output == Output::Socket
                              ? ::send(STDERR_FILENO, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                              : ::write(STDERR_FILENO, line.data(), line.size());
        if (written >= 0) {
            line.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno == ENOTSOCK) {
            self.output = Output::Waitable;  // Descriptor 2 was replaced after init().
        } else if (errno == EAGAIN) {
            if (!wait_writable()) break;
        } else if (errno != EINTR) {
            break;
        }
    }
    self.stalled = !line.empty();
    return line.empty();
}

/// Tells how many lines were lost since the last such report. Returns false if that cannot be told either.
bool report_lost_lines() {
    State& self = state();
    std::uint64_t lost = self.lost;
    std::uint64_t reported = self.lost_reported;
    if (lost == reported) return true;
    Line::Buffer report;
    begin_line(report, Level::Warning, "log_lines_lost");
    append_number(report, "count", lost - reported);
    end_line(report);
    if (!deliver(report.text())) return false;
    self.lost_reported = lost;
    return true;
}

}  // namespace

void init(std::string_view daemon_name, Format format, Level minimum) {
    State& self = state();
    std::size_t length = daemon_name.copy(self.daemon_storage.data(), self.daemon_storage.size());
    self.settings.daemon = {self.daemon_storage.data(), length};
    self.settings.format = format;
    self.settings.minimum = minimum;
    struct stat status {};
    if (::fstat(STDERR_FILENO, &status) == 0) {
        self.output = output_kind(status);
        self.settings.journal = is_journal(status);
    }
    static_cast<void>(settings());  // Learns the process number before there are threads.
}

const Settings& settings() noexcept {
    State& self = state();
    if (self.settings.pid == 0) {
        // The number is kept because a system call for each line is one too many on the way of a message.
        self.settings.pid = ::getpid();
        static_cast<void>(::pthread_atfork(nullptr, nullptr, [] { state().settings.pid = ::getpid(); }));
    }
    return self.settings;
}

void emit(std::string_view line) noexcept {
    if (!report_lost_lines() || !deliver(line)) ++state().lost;
}

bool enabled(Level level) {
    return level >= settings().minimum;
}

std::uint64_t lost_lines() {
    return state().lost;
}

}  // namespace postrider::log
