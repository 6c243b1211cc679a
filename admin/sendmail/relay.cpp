#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <string>

#include "admin/sendmail/submission.h"

namespace postrider::admin {

namespace {

/// Two directions at once. In each, what one side has said waits here until the other takes it, and no more
/// is read before: a caller that sends thousands of commands before it reads one reply, and one that reads
/// slowly, hold up nothing but themselves.
class Relay {
  public:
    explicit Relay(Fd server)
        : server_(std::move(server)), output_(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)) {}

    Result<void> run() {
        if (!output_) return system_failure("standard output", errno);
        while (!replies_ended_ || !replies_.empty()) {
            std::array<pollfd, 3> waits = what_to_wait_for();
            if (::poll(waits.data(), waits.size(), -1) < 0) {
                if (errno == EINTR) continue;
                return system_failure("poll", errno);
            }
            if (waits[0].revents != 0) take_input();
            if ((waits[1].revents & POLLOUT) != 0) send_pending();
            if ((waits[1].revents & ~POLLOUT) != 0 && replies_.empty()) take_replies();
            if (waits[2].revents == 0) continue;
            auto written = write_replies();
            if (!written) return written;
        }
        // Without a goodbye the session was cut short, and the caller must not take it for done.
        if (last_line_.starts_with("221")) return {};
        return temporary("the mail server went away");
    }

  private:
    [[nodiscard]] std::array<pollfd, 3> what_to_wait_for() const {
        // poll(2) ignores negative descriptors.
        const bool may_read = !input_ended_ && pending_.empty();
        const short of_server =
            static_cast<short>((replies_.empty() ? POLLIN : 0) | (pending_.empty() ? 0 : POLLOUT));
        const bool uses_server = !replies_ended_ && of_server != 0;
        return {pollfd{may_read ? STDIN_FILENO : -1, POLLIN, 0},
                pollfd{uses_server ? server_.get() : -1, of_server, 0},
                pollfd{replies_.empty() ? -1 : output_.get(), POLLOUT, 0}};
    }

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

    void take_replies() {
        const ssize_t got = ::read(server_.get(), block_.data(), block_.size());
        if (got < 0 && errno == EINTR) return;
        replies_ended_ = got <= 0;
        if (replies_ended_) return;
        replies_.assign(block_.data(), static_cast<std::size_t>(got));
        note(replies_);
    }

    /// No more at a time than a pipe that can be written to at all takes without blocking.
    Result<void> write_replies() {
        const ssize_t written =
            ::write(output_.get(), replies_.data(), std::min<std::size_t>(replies_.size(), PIPE_BUF));
        if (written > 0) replies_.erase(0, static_cast<std::size_t>(written));
        if (written >= 0 || errno == EINTR || errno == EAGAIN) return {};
        return system_failure("standard output", errno);
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
    std::string pending_;  // for the server
    std::string replies_;  // for the caller
    std::string last_line_;
    bool line_ended_ = false;
    bool input_ended_ = false;
    bool replies_ended_ = false;
};

}  // namespace

Result<void> relay_standard_streams(Fd server) {
    return Relay(std::move(server)).run();
}

}  // namespace postrider::admin
