#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "libcommon/async/loop.h"
#include "libcommon/base/file.h"
#include "smtpd/peers.h"

namespace postrider::smtpd::test {

inline Verdict refusal(mail::ReplyCode code, mail::EnhancedCode enhanced, std::string text,
                       std::string rule) {
    Verdict verdict;
    verdict.refusal = mail::Reply{code, enhanced, {std::move(text)}};
    verdict.rule = std::move(rule);
    return verdict;
}

/// A router with a policy of a few lines: everyone may connect and send, recipients in local.test exist.
class FakeRouter : public Router {
  public:
    explicit FakeRouter(async::Loop& loop) : loop_(loop) {}

    ClientVerdict client;  ///< what may_connect() says
    bool reachable = true;
    std::string refused_helo;
    std::string refused_login;
    std::map<std::string, Verdict> accepted;  ///< what is said of recipients that are accepted
    Milliseconds delay{0};                    ///< before a recipient is answered
    std::size_t list_size = 0;                ///< of recipients whose names begin with "list"
    std::size_t asked_at_once = 0;
    std::size_t connect_questions = 0;
    std::size_t sessions_begun = 0;
    wire::Client last_client;

    async::Task<ClientVerdict> may_connect(wire::Client asked, bool begins_session) override {
        ++connect_questions;
        if (begins_session) ++sessions_begun;
        last_client = std::move(asked);
        ClientVerdict verdict = client;
        verdict.answered = reachable;
        if (!refused_helo.empty() && last_client.helo() == refused_helo)
            verdict.verdict = refusal(550, {5, 7, 1}, "Not this name", "policy:3");
        if (!refused_login.empty() && last_client.login() == refused_login)
            verdict.verdict = refusal(550, {5, 7, 1}, "Account closed", "policy:4");
        if (!reachable) verdict.verdict = unreachable();
        co_return verdict;
    }
    async::Task<Verdict> may_send(wire::Client asked, std::string sender) override {
        last_client = std::move(asked);
        if (!reachable) co_return unreachable();
        if (sender.starts_with("bad@")) co_return refusal(550, {5, 7, 1}, "Not liked", "policy:1");
        if (sender.starts_with("later@")) co_return refusal(451, {4, 4, 3}, "DNS", "policy:2");
        Verdict verdict;
        verdict.stranger = sender.starts_with("stranger@");
        co_return verdict;
    }
    async::Task<Verdict> may_receive(wire::Client, std::string, std::string recipient) override {
        if (!reachable) co_return unreachable();
        if (delay > Milliseconds(0)) {
            ++asked_now_;
            asked_at_once = std::max(asked_at_once, asked_now_);
            co_await async::Sleep(loop_, delay);
            --asked_now_;
        }
        if (recipient.starts_with("nobody@"))
            co_return refusal(550, {5, 1, 1}, "No such user", "unknown-user");
        if (!recipient.ends_with("@local.test") && recipient != "postmaster") {
            co_return refusal(550, {5, 7, 1}, "Relaying denied", "default");
        }
        const auto found = accepted.find(recipient);
        Verdict verdict = found == accepted.end() ? Verdict() : found->second;
        if (recipient.starts_with("list")) verdict.deliveries = list_size;
        co_return verdict;
    }
    async::Task<VerifiedAddress> verify(wire::Client, std::string address, bool expand) override {
        VerifiedAddress found;
        if (address.starts_with("nobody")) {
            found.verdict = refusal(550, {5, 1, 1}, "No such user", "unknown-user");
        } else {
            found.addresses = {address + "@local.test"};
            if (expand) found.addresses.push_back("second@local.test");
        }
        co_return found;
    }
    async::Task<Verdict> may_start_queue(wire::Client, std::string domain) override {
        if (!reachable) co_return unreachable();
        if (domain == "unclear.test") co_return refusal(458, {4, 4, 3}, "The DNS", "etrn-exchangers");
        if (domain != "mine.test") co_return refusal(459, {4, 7, 1}, "Not yours", "etrn-exchangers");
        co_return Verdict();
    }

  private:
    static Verdict unreachable() { return refusal(451, {4, 3, 0}, "Try later", "router-unavailable"); }

    async::Loop& loop_;
    std::size_t asked_now_ = 0;
};

/// A queue-manager whose queue is a map.
class FakeQueue : public Queue {
  public:
    struct Message {
        wire::Envelope envelope;
        std::string content;
        bool committed = false;
        bool aborted = false;
    };

    Intake state;
    std::optional<Error> open_error;
    std::optional<Error> content_error;
    std::optional<Error> commit_error;
    bool full_disk = false;  ///< the content goes to /dev/full
    std::map<std::string, Message> messages;

    [[nodiscard]] std::size_t committed() const {
        return static_cast<std::size_t>(std::count_if(
            messages.begin(), messages.end(), [](const auto& entry) { return entry.second.committed; }));
    }

    [[nodiscard]] const Intake& intake() const override { return state; }
    async::Task<Result<std::string>> open(wire::Envelope envelope, std::uint64_t) override {
        if (open_error) co_return failure(*open_error);
        std::string queue_id = "ID" + std::to_string(messages.size() + 1);
        messages[queue_id].envelope = std::move(envelope);
        co_return queue_id;
    }
    async::Task<Result<Fd>> open_content(std::string queue_id) override {
        if (content_error) co_return failure(*content_error);
        Fd file(full_disk ? ::open("/dev/full", O_WRONLY | O_CLOEXEC)
                          : ::memfd_create("message", MFD_CLOEXEC));
        Fd copy(::dup(file.get()));
        files_[queue_id] = std::move(file);
        co_return copy;
    }
    async::Task<Result<void>> commit(CompleteMessage message) override {
        if (commit_error) co_return failure(*commit_error);
        Message& stored = messages.at(message.queue_id);
        if (message.content) {
            if (full_disk) {
                // As the queue-manager does: it says so before it answers.
                state.accepting = false;
                state.reason = "4.3.1 insufficient system storage";
                co_return temporary("No space left on device");
            }
            if (files_.count(message.queue_id) > 0) co_return permanent("content in two places");
            stored.content = std::move(*message.content);
            stored.committed = true;
            co_return Result<void>();
        }
        stored.content = read_at(files_.at(message.queue_id), message.length + 1, 0).value();
        const bool whole = stored.content.size() == message.length &&
                           XXH3_64bits(stored.content.data(), stored.content.size()) == message.hash;
        if (!whole) co_return permanent("length or hash do not fit");
        stored.committed = true;
        co_return Result<void>();
    }
    void abort(const std::string& queue_id) override { messages.at(queue_id).aborted = true; }
    async::Task<Result<StartedQueue>> start_queue(std::string domain, bool subdomains, std::string) override {
        started.push_back((subdomains ? "@" : "") + domain);
        co_return waiting;
    }
    std::vector<std::string> started;  ///< the domains of ETRN
    StartedQueue waiting;              ///< what start_queue() says

  private:
    std::map<std::string, Fd> files_;
};

/// TLS that encrypts nothing: what matters here is when it is used.
class FakeTls : public Tls {
  public:
    bool available = false;
    std::size_t handshakes = 0;

    [[nodiscard]] bool ready() const override { return available; }
    async::Task<Result<TlsSession>> accept(async::Stream&, const config::Listener&,
                                           async::Deadline) override {
        ++handshakes;
        TlsSession session;
        session.version = "TLSv1.3";
        session.cipher = "NONE";
        co_return session;
    }
};

/// Logins with PLAIN, and with LOGIN, which asks twice; the password of everybody is "secret".
class FakeLogins : public Logins {
  public:
    std::vector<std::string> offered;
    wire::AuthOutcome::Result refusal = wire::AuthOutcome::REJECTED;
    std::size_t cancelled = 0;

    [[nodiscard]] const std::vector<std::string>& mechanisms() const override { return offered; }
    async::Task<AuthStep> begin(wire::AuthBegin begin, std::uint64_t& exchange) override {
        exchange = ++last_;
        is_login_ = begin.mechanism() == "LOGIN";
        user_.clear();
        AuthStep step;
        if (begin.has_initial()) {
            step = take(begin.initial());
        } else {
            step.challenge = is_login_ ? "Username:" : "";
        }
        co_return step;
    }
    async::Task<AuthStep> respond(std::uint64_t, std::string data) override { co_return take(data); }
    void cancel(std::uint64_t) override { ++cancelled; }

  private:
    AuthStep take(const std::string& data) {
        AuthStep step;
        if (is_login_ && user_.empty()) {
            user_ = data;
            step.challenge = "Password:";
            return step;
        }
        const std::size_t user = data.find('\0');
        const std::size_t password = data.rfind('\0');
        if (!is_login_) user_ = data.substr(user + 1, password - user - 1);
        const bool right = (is_login_ ? data : data.substr(password + 1)) == "secret";
        step.done = true;
        step.outcome.set_result(right ? wire::AuthOutcome::ACCEPTED : refusal);
        step.outcome.set_login(user_);
        return step;
    }

    std::uint64_t last_ = 0;
    bool is_login_ = false;
    std::string user_;
};

}  // namespace postrider::smtpd::test
