#include "admin/sendmail/submission.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "libcommon/base/file.h"
#include "libcommon/mail/ascii.h"
#include "libcommon/mail/dot_stuffing.h"

namespace postrider::admin {

namespace {

/// One SMTP dialogue over a blocking socket.
class Dialogue {
  public:
    explicit Dialogue(Fd server) : server_(std::move(server)) {}

    /// Sends `line` (empty: only waits) and returns the reply: its code, and its lines joined by LF.
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
            reply += reply.empty() ? *line : "\n" + line->substr(std::min<std::size_t>(line->size(), 4));
            if (reply.size() > kLongest) return temporary("the mail server's reply has no end");
            if (line->size() < 4 || (*line)[3] != '-') return reply;
        }
    }

    Result<std::string> read_line() {
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

    static constexpr std::size_t kLongest = 8192;

    Fd server_;
    std::string buffer_;
};

bool positive(const std::string& reply) {
    return reply.starts_with('2') || reply.starts_with('3');
}

tl::unexpected<Error> refusal(std::string reply) {
    std::replace(reply.begin(), reply.end(), '\n', ' ');
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

namespace {

/// Greeting, EHLO and MAIL; what the server offers.
Result<Offer> begin_transaction(Dialogue& dialogue, const std::string& host_name, const Envelope& envelope,
                                bool has_eight_bit) {
    auto greeting = dialogue.ask({});
    if (!greeting) return failure(greeting.error());
    if (!positive(*greeting)) return refusal(*greeting);
    auto hello = dialogue.ask("EHLO " + host_name);
    if (!hello) return failure(hello.error());
    if (!positive(*hello)) return refusal(*hello);
    const Offer offer = read_offer(hello->substr(std::min<std::size_t>(hello->size(), 4)));
    auto command = mail_command(envelope, has_eight_bit, offer);
    if (!command) return failure(command.error());
    auto taken = dialogue.ask(*command);
    if (!taken) return failure(taken.error());
    if (!positive(*taken)) return refusal(*taken);
    return offer;
}

Result<void> name_recipients(Dialogue& dialogue, const Envelope& envelope, const Offer& offer,
                             std::vector<std::string>& refused) {
    std::string last_refusal;
    std::size_t taken = 0;
    for (const std::string& recipient : envelope.recipients) {
        auto reply = dialogue.ask(rcpt_command(recipient, envelope.dsn, offer));
        if (!reply) return failure(reply.error());
        taken += positive(*reply) ? 1 : 0;
        if (positive(*reply)) continue;
        // A temporary refusal of one recipient must not lose that recipient: the caller tries the whole
        // again.
        if (reply->starts_with('4')) return refusal(fmt::format("{}: {}", *reply, recipient));
        refused.push_back(fmt::format("{}: {}", recipient, *reply));
        last_refusal = *reply;
    }
    if (taken == 0) return refusal(last_refusal);
    return {};
}

}  // namespace

Result<void> submit(Fd server, const std::string& host_name, const Envelope& envelope,
                    const std::string& message, std::vector<std::string>& refused) {
    Dialogue dialogue(std::move(server));
    auto offer = begin_transaction(dialogue, host_name, envelope, !mail::is_ascii(message));
    if (!offer) return failure(offer.error());
    auto named = name_recipients(dialogue, envelope, *offer, refused);
    if (!named) return named;
    auto ready = dialogue.ask("DATA");
    if (!ready) return failure(ready.error());
    if (!positive(*ready)) return refusal(*ready);
    auto accepted = dialogue.send_content(message);
    if (!accepted) return failure(accepted.error());
    if (!positive(*accepted)) return refusal(*accepted);
    static_cast<void>(dialogue.ask("QUIT"));
    return {};
}

}  // namespace postrider::admin
