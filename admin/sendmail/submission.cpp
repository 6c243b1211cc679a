#include "admin/sendmail/submission.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "libcommon/base/file.h"
#include "libcommon/mail/dot_stuffing.h"

namespace postrider::admin {

namespace {

/// One SMTP dialogue over a blocking socket.
class Dialogue {
  public:
    explicit Dialogue(Fd server) : server_(std::move(server)) {}

    /// Sends `line` (empty: only waits) and returns the reply, all its lines joined.
    Result<std::string> ask(std::string_view line) {
        if (!line.empty()) {
            auto sent = write_all(server_, fmt::format("{}\r\n", line));
            if (!sent) return failure(sent.error());
        }
        return read_reply();
    }

    Result<std::string> send_content(const std::string& message) {
        mail::DataEncoder encoder;
        std::string encoded;
        encoder.encode(message, encoded);
        encoder.finish(encoded);
        auto sent = write_all(server_, encoded);
        if (!sent) return failure(sent.error());
        return read_reply();
    }

  private:
    Result<std::string> read_reply() {
        std::string reply;
        while (true) {
            auto line = read_line();
            if (!line) return line;
            reply += reply.empty() ? *line : " " + line->substr(std::min<std::size_t>(line->size(), 4));
            if (line->size() < 4 || (*line)[3] != '-') return reply;
        }
    }

    Result<std::string> read_line() {
        constexpr std::size_t kLongest = 8192;
        while (buffer_.find("\r\n") == std::string::npos) {
            std::array<char, 4096> block{};
            const ssize_t got = ::read(server_.get(), block.data(), block.size());
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0 || buffer_.size() > kLongest) return temporary("the mail server went away");
            buffer_.append(block.data(), static_cast<std::size_t>(got));
        }
        const std::size_t end = buffer_.find("\r\n");
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 2);
        return line;
    }

    Fd server_;
    std::string buffer_;
};

bool positive(const std::string& reply) {
    return reply.starts_with('2') || reply.starts_with('3');
}

tl::unexpected<Error> refusal(const std::string& reply) {
    return reply.starts_with('5') ? permanent(reply) : temporary(reply);
}

}  // namespace

Result<Fd> connect_to_submission(const std::string& path) {
    Fd server(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!server) return system_failure("socket", errno);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return permanent(fmt::format("{}: path too long", path));
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (::connect(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return system_failure(fmt::format("cannot reach the mail server at {}", path), errno);
    }
    return server;
}

Result<void> submit(Fd server, const std::string& host_name, const std::string& sender,
                    const std::vector<std::string>& recipients, const std::string& message,
                    std::vector<std::string>& refused) {
    Dialogue dialogue(std::move(server));
    for (const std::string& line :
         {std::string(), "EHLO " + host_name, fmt::format("MAIL FROM:<{}>", sender)}) {
        auto reply = dialogue.ask(line);
        if (!reply) return failure(reply.error());
        if (!positive(*reply)) return refusal(*reply);
    }
    std::string last_refusal;
    for (const std::string& recipient : recipients) {
        auto reply = dialogue.ask(fmt::format("RCPT TO:<{}>", recipient));
        if (!reply) return failure(reply.error());
        if (positive(*reply)) continue;
        // A temporary refusal of one recipient must not lose that recipient: the caller tries the whole
        // again.
        if (reply->starts_with('4')) return refusal(fmt::format("{}: {}", *reply, recipient));
        refused.push_back(fmt::format("{}: {}", recipient, *reply));
        last_refusal = *reply;
    }
    if (refused.size() == recipients.size()) return refusal(last_refusal);
    auto ready = dialogue.ask("DATA");
    if (!ready) return failure(ready.error());
    if (!positive(*ready)) return refusal(*ready);
    auto accepted = dialogue.send_content(message);
    if (!accepted) return failure(accepted.error());
    if (!positive(*accepted)) return refusal(*accepted);
    static_cast<void>(dialogue.ask("QUIT"));
    return {};
}

Result<void> relay_standard_streams(Fd server) {
    std::array<pollfd, 2> waits = {pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{server.get(), POLLIN, 0}};
    std::array<char, 65536> block{};
    while (true) {
        if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR)
            return system_failure("poll", errno);
        if (waits[0].revents != 0) {
            const ssize_t got = ::read(STDIN_FILENO, block.data(), block.size());
            if (got <= 0) {
                static_cast<void>(::shutdown(server.get(), SHUT_WR));
                waits[0].fd = -1;  // poll(2) ignores it from now on
                waits[0].revents = 0;
            } else {
                auto sent = write_all(server, std::string_view(block.data(), static_cast<std::size_t>(got)));
                if (!sent) return sent;
            }
        }
        if (waits[1].revents != 0) {
            const ssize_t got = ::read(server.get(), block.data(), block.size());
            if (got <= 0) return {};
            const Fd output(::dup(STDOUT_FILENO));
            auto sent = write_all(output, std::string_view(block.data(), static_cast<std::size_t>(got)));
            if (!sent) return sent;
        }
    }
}

}  // namespace postrider::admin
