#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "admin/sendmail/submission.h"
#include "libcommon/base/file.h"

namespace postrider::admin {

namespace {

/// Two directions at once. What the server does not take now waits here, and meanwhile its replies are still
/// read: a caller that sends thousands of commands before it reads one reply would otherwise hold up both.
class Relay {
  public:
    explicit Relay(Fd server)
        : server_(std::move(server)), output_(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)) {}

    Result<void> run() {
        if (!output_) return system_failure("standard output", errno);
        while (true) {
            const bool may_read = !input_ended_ && pending_.empty();
            const short server_events = static_cast<short>(POLLIN | (pending_.empty() ? 0 : POLLOUT));
            // poll(2) ignores negative descriptors.
            std::array<pollfd, 2> waits = {pollfd{may_read ? STDIN_FILENO : -1, POLLIN, 0},
                                           pollfd{server_.get(), server_events, 0}};
            if (::poll(waits.data(), waits.size(), -1) < 0) {
                if (errno == EINTR) continue;
                return system_failure("poll", errno);
            }
            if (waits[0].revents != 0) take_input();
            if ((waits[1].revents & POLLOUT) != 0) send_pending();
            if ((waits[1].revents & ~POLLOUT) == 0) continue;
            auto more = take_replies();
            if (!more) return failure(more.error());
            if (!*more) break;
        }
        // Without a goodbye the session was cut short, and the caller must not take it for done.
        if (last_line_.starts_with("221")) return {};
        return temporary("the mail server went away");
    }

  private:
    void take_input() {
        const ssize_t got = ::read(STDIN_FILENO, block_.data(), block_.size());
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
        if (got > 0) {
            pending_.assign(block_.data(), static_cast<std::size_t>(got));
            send_pending();
        } else {
            input_ended_ = true;
            static_cast<void>(::shutdown(server_.get(), SHUT_WR));
        }
    }

    void send_pending() {
        const ssize_t sent =
            ::send(server_.get(), pending_.data(), pending_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) pending_.erase(0, static_cast<std::size_t>(sent));
        if (sent >= 0 || errno == EINTR || errno == EAGAIN) return;
        // It reads no more, but its last words may still be there to be read.
        pending_.clear();
        input_ended_ = true;
    }

    /// Whether there may be more.
    Result<bool> take_replies() {
        const ssize_t got = ::read(server_.get(), block_.data(), block_.size());
        if (got < 0 && errno == EINTR) return true;
        if (got <= 0) return false;
        const std::string_view replies(block_.data(), static_cast<std::size_t>(got));
        note(replies);
        auto written = write_all(output_, replies);
        if (!written) return failure(written.error());
        return true;
    }

    /// Keeps the beginning of the last line.
    void note(std::string_view replies) {
        constexpr std::size_t kCode = 4;
        for (const char octet : replies) {
            if (line_ended_) last_line_.clear();
            line_ended_ = octet == '\n';
            if (last_line_.size() < kCode) last_line_ += octet;
        }
    }

    Fd server_;
    Fd output_;
    std::array<char, 65536> block_{};
    std::string pending_;
    std::string last_line_;
    bool line_ended_ = false;
    bool input_ended_ = false;
};

}  // namespace

Result<void> relay_standard_streams(Fd server) {
    return Relay(std::move(server)).run();
}

}  // namespace postrider::admin
