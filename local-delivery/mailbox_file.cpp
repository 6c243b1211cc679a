#include "local-delivery/mailbox_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <thread>

#include "libcommon/base/file.h"

namespace postrider::local_delivery {

namespace {

constexpr std::string_view kFrom = "From ";
constexpr Milliseconds kLockPoll{100};

/// Another program's lock file beside the mailbox. Removed when the delivery ends.
class DotLock {
  public:
    DotLock(const std::string& path, Milliseconds stale) : name_(path + ".lock"), stale_(stale) {}
    ~DotLock() {
        if (held_) static_cast<void>(::unlink(name_.c_str()));
    }
    DotLock(const DotLock&) = delete;
    DotLock& operator=(const DotLock&) = delete;

    enum class Attempt { Held, Busy, Impossible };
    Attempt try_once() {
        Fd file(::open(name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, kMailFileMode));
        held_ = static_cast<bool>(file);
        if (held_) return Attempt::Held;
        if (errno == EEXIST && is_stale()) {
            static_cast<void>(::unlink(name_.c_str()));
            return Attempt::Busy;
        }
        // Without the right to create files beside the mailbox nobody else with these rights has it either.
        return ::access(name_.c_str(), F_OK) == 0 ? Attempt::Busy : Attempt::Impossible;
    }

  private:
    [[nodiscard]] bool is_stale() const {
        struct stat status {};
        if (::lstat(name_.c_str(), &status) != 0) return false;
        return std::time(nullptr) - status.st_mtim.tv_sec >
               std::chrono::duration_cast<Seconds>(stale_).count();
    }

    std::string name_;
    Milliseconds stale_;
    bool held_ = false;
};

bool lock_with_fcntl(const Fd& file) {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return ::fcntl(file.get(), F_SETLK, &lock) == 0;
}

bool lock_both(DotLock& dot, const Fd& file, Milliseconds timeout) {
    const SteadyTime end = std::chrono::steady_clock::now() + timeout;
    bool have_dot = false;
    while (true) {
        if (!have_dot) have_dot = dot.try_once() != DotLock::Attempt::Busy;
        if (have_dot && lock_with_fcntl(file)) return true;
        if (std::chrono::steady_clock::now() >= end) return false;
        std::this_thread::sleep_for(kLockPoll);
    }
}

std::string from_line(const MessageText& message, UnixMillis arrival) {
    const auto seconds = static_cast<std::time_t>(arrival / 1000);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char date[64];
    static_cast<void>(std::strftime(date, sizeof date, "%a %b %e %H:%M:%S %Y", &parts));
    const std::string_view sender =
        message.sender.empty() ? "MAILER-DAEMON" : std::string_view(message.sender);
    return fmt::format("From {} {}\n", sender, date);
}

Result<void> write_message(const Fd& file, const MessageText& message, UnixMillis arrival) {
    FromQuoter quoter;
    auto written = write_all(file, from_line(message, arrival));
    if (!written) return written;
    written = message.write_to(
        [&file, &quoter](std::string_view piece) { return write_all(file, quoter.quote(piece)); });
    if (!written) return written;
    return write_all(file, std::string(quoter.finish()) + "\n");
}

}  // namespace

bool FromQuoter::undecided() const {
    std::size_t quotes = std::min(line_start_.find_first_not_of('>'), line_start_.size());
    std::string_view rest = std::string_view(line_start_).substr(quotes);
    return rest.size() < kFrom.size() && kFrom.starts_with(rest);
}

std::string_view FromQuoter::quote(std::string_view piece) {
    quoted_.clear();
    while (!piece.empty()) {
        if (in_line_) {
            const std::size_t end = piece.find('\n');
            const std::size_t taken = end == std::string_view::npos ? piece.size() : end + 1;
            quoted_.append(piece.substr(0, taken));
            piece.remove_prefix(taken);
            in_line_ = end == std::string_view::npos;
            continue;
        }
        line_start_ += piece.front();
        piece.remove_prefix(1);
        if (undecided()) continue;
        if (line_start_.ends_with(kFrom)) quoted_ += '>';
        quoted_ += line_start_;
        in_line_ = line_start_.back() != '\n';
        line_start_.clear();
    }
    return quoted_;
}

std::string_view FromQuoter::finish() {
    quoted_ = std::exchange(line_start_, {});
    if (!quoted_.empty() || in_line_) quoted_ += '\n';
    in_line_ = false;
    return quoted_;
}

Outcome append_to_mailbox_file(const std::string& path, const MessageText& message, UnixMillis arrival,
                               Milliseconds lock_timeout, Milliseconds lock_stale) {
    if (path == "/dev/null") return delivered("discarded");
    Fd file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                   kMailFileMode));
    if (!file && (errno == EISDIR || errno == ELOOP)) {
        return failed("5.2.0", fmt::format("{} is not a regular file", path));
    }
    if (!file) return system_trouble(path, errno);
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return system_trouble(path, errno);
    if (!S_ISREG(status.st_mode)) return failed("5.2.0", fmt::format("{} is not a regular file", path));
    if (status.st_nlink != 1) return failed("5.2.0", fmt::format("{} has more than one name", path));

    DotLock dot(path, lock_stale);
    if (!lock_both(dot, file, lock_timeout)) {
        return deferred("4.2.0", fmt::format("{} is locked by another program", path));
    }
    // Under the lock the length is ours to go back to.
    if (::fstat(file.get(), &status) != 0) return system_trouble(path, errno);
    auto written = write_message(file, message, arrival);
    int reason = errno;
    if (written && ::fsync(file.get()) == 0) return delivered(fmt::format("delivered to {}", path));
    if (written) reason = errno;
    static_cast<void>(!::ftruncate(file.get(), status.st_size));
    return system_trouble(path, reason);
}

}  // namespace postrider::local_delivery
