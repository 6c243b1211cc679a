#include "smtpd/auth/dovecot.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "libcommon/async/connect.h"
#include "libcommon/log/log.h"
#include "libcommon/mail/utf8.h"
#include "smtpd/auth/login_name.h"

namespace postrider::auth {

namespace {

/// How long a request waits for a connection that is just being made, and until the next attempt.
constexpr Milliseconds kConnectPatience{2'000};
constexpr Milliseconds kReconnectDelay{500};

constexpr std::uint32_t kProtocolVersion = 1;

}  // namespace

struct Dovecot::Pending {
    Pending(Dovecot& owner_in, std::uint32_t id_in) : owner(owner_in), id(id_in), answered(owner_in.loop_) {
        owner.pending_.emplace(id, this);
    }
    ~Pending() { owner.pending_.erase(id); }
    Pending(const Pending&) = delete;
    Pending& operator=(const Pending&) = delete;

    Dovecot& owner;
    std::uint32_t id;
    std::optional<DovecotLine> answer;
    bool lost = false;
    async::Condition answered;
};

Dovecot::Dovecot(async::Loop& loop, std::string socket)
    : loop_(loop), path_(std::move(socket)), changed_(loop), scope_(loop) {}

async::Task<CheckResult> Dovecot::check(std::shared_ptr<const Credentials> credentials,
                                        async::Deadline deadline) {
    CheckResult result;
    const async::Deadline connected = std::min(*deadline, *loop_.after(kConnectPatience));
    while (!ready_) {
        bool notified = co_await changed_.wait(connected);
        if (notified || ready_) continue;
        result.reason = "Dovecot cannot be reached";
        co_return result;
    }
    Pending pending(*this, next_id_++);
    if (!send(dovecot_request(pending.id, *credentials).view())) {
        result.reason = "Dovecot does not take the request";
        co_return result;
    }
    while (!pending.answer && !pending.lost) {
        bool notified = co_await pending.answered.wait(deadline);
        if (!notified) break;
    }
    if (!pending.answer || pending.answer->kind == DovecotLine::Kind::Cont) {
        result.reason = pending.lost ? "the connection to Dovecot was lost" : "no answer from Dovecot";
    } else if (pending.answer->kind == DovecotLine::Kind::Ok) {
        // Dovecot knows the user's real name; the one asked for, if it says none.
        const std::string& user = pending.answer->text;
        const bool usable = user.empty() || is_login(user);
        result.verdict = usable ? Verdict::Accepted : Verdict::Unavailable;
        result.login = user.empty() ? credentials->login : user;
        if (!usable) result.reason = "Dovecot names a user who is none";
    } else {
        result.verdict = pending.answer->temporary ? Verdict::Unavailable : Verdict::Rejected;
        result.reason = pending.answer->text.empty() ? "refused by Dovecot" : pending.answer->text;
    }
    co_return result;
}

async::Task<void> Dovecot::keep_connected() {
    std::string last_reason;
    while (true) {
        std::string reason;
        auto socket = async::connect_local(path_);
        if (socket) {
            connection_ = std::make_unique<Connection>(loop_, std::move(*socket));
            reason = co_await converse();
        } else {
            reason = socket.error().text;
        }
        const bool was_ready = std::exchange(ready_, false);
        connection_.reset();
        lose_all();
        // A Dovecot that is away is told of once.
        if (was_ready || reason != last_reason) {
            log::warning("dovecot_lost").add("socket", path_).add("reason", mail::make_printable(reason));
        }
        last_reason = std::move(reason);
        co_await async::Sleep(loop_, kReconnectDelay);
    }
}

async::Task<std::string> Dovecot::converse() {
    if (!send(dovecot_greeting(static_cast<std::uint32_t>(::getpid())))) co_return "it takes no greeting";
    std::array<char, 4096> block{};
    while (true) {
        const ssize_t got = ::recv(connection_->socket.get(), block.data(), block.size(), MSG_DONTWAIT);
        if (got == 0) co_return "it closed the connection";
        if (got < 0 && errno != EAGAIN && errno != EINTR) co_return "the connection broke";
        if (got < 0) {
            co_await connection_->watch.readable();
            continue;
        }
        connection_->input.append(block.data(), static_cast<std::size_t>(got));
        auto taken = take_lines();
        if (!taken) co_return taken.error().text;
    }
}

Result<void> Dovecot::take_lines() {
    std::string& input = connection_->input;
    std::size_t begin = 0;
    for (std::size_t end = input.find('\n'); end != std::string::npos; end = input.find('\n', begin)) {
        const auto line = parse_dovecot_line(std::string_view(input).substr(begin, end - begin));
        if (!line) return permanent("it sent a line that is not of the protocol");
        auto taken = take(*line);
        if (!taken) return taken;
        begin = end + 1;
    }
    input.erase(0, begin);
    if (input.size() > kMaxDovecotLine) return permanent("it sent a line that is too long");
    return {};
}

Result<void> Dovecot::take(const DovecotLine& line) {
    using Kind = DovecotLine::Kind;
    if (line.kind == Kind::Version) {
        if (line.id != kProtocolVersion) return permanent("it speaks another version of the protocol");
        connection_->version_known = true;
    } else if (line.kind == Kind::Mech) {
        connection_->offers_plain = connection_->offers_plain || line.text == "PLAIN";
    } else if (line.kind == Kind::Done) {
        if (!connection_->version_known) return permanent("it did not say which version it speaks");
        if (!connection_->offers_plain) return permanent("it does not offer PLAIN");
        if (!std::exchange(ready_, true)) log::info("dovecot_connected").add("socket", path_);
        changed_.notify_all();
    } else if (line.kind != Kind::Other) {
        const auto found = pending_.find(line.id);
        // Who asked has given up.
        if (found == pending_.end()) return {};
        found->second->answer = line;
        found->second->answered.notify_one();
    }
    return {};
}

bool Dovecot::send(std::string_view text) const {
    // A local socket takes hundreds of requests before it is full; if it is, Dovecot hangs, and a part of a
    // line would be worse than none. The end of the connection makes the other end forget it.
    const ssize_t sent =
        ::send(connection_->socket.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == static_cast<ssize_t>(text.size())) return true;
    if (sent > 0) static_cast<void>(::shutdown(connection_->socket.get(), SHUT_RDWR));
    return false;
}

void Dovecot::lose_all() {
    for (auto& [id, pending] : pending_) {
        pending->lost = true;
        pending->answered.notify_one();
    }
}

}  // namespace postrider::auth
