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
    Milliseconds delay{0};  ///< before a recipient is answered
    std::size_t asked_at_once = 0;
    std::size_t connect_questions = 0;
    wire::Client last_client;

    async::Task<ClientVerdict> may_connect(wire::Client asked) override {
        ++connect_questions;
        last_client = std::move(asked);
        ClientVerdict verdict = client;
        verdict.answered = reachable;
        if (!reachable) verdict.verdict = unreachable();
        co_return verdict;
    }
    async::Task<Verdict> may_send(wire::Client asked, std::string sender) override {
        last_client = std::move(asked);
        if (!reachable) co_return unreachable();
        if (sender.starts_with("bad@")) co_return refusal(550, {5, 7, 1}, "Not liked", "policy:1");
        if (sender.starts_with("later@")) co_return refusal(451, {4, 4, 3}, "DNS", "policy:2");
        co_return Verdict();
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
    std::optional<Error> commit_error;
    bool full_disk = false;  ///< the content goes to /dev/full
    std::map<std::string, Message> messages;

    [[nodiscard]] std::size_t committed() const {
        return static_cast<std::size_t>(std::count_if(
            messages.begin(), messages.end(), [](const auto& entry) { return entry.second.committed; }));
    }

    [[nodiscard]] const Intake& intake() const override { return state; }
    async::Task<Result<OpenedMessage>> open(wire::Envelope envelope, std::uint64_t) override {
        if (open_error) co_return failure(*open_error);
        OpenedMessage opened;
        opened.queue_id = "ID" + std::to_string(messages.size() + 1);
        messages[opened.queue_id].envelope = std::move(envelope);
        Fd file(full_disk ? ::open("/dev/full", O_WRONLY | O_CLOEXEC)
                          : ::memfd_create("message", MFD_CLOEXEC));
        opened.content = Fd(::dup(file.get()));
        files_[opened.queue_id] = std::move(file);
        co_return opened;
    }
    async::Task<Result<void>> commit(CompleteMessage message) override {
        if (commit_error) co_return failure(*commit_error);
        Message& stored = messages.at(message.queue_id);
        stored.content = read_at(files_.at(message.queue_id), message.length + 1, 0).value();
        const bool whole = stored.content.size() == message.length &&
                           XXH3_64bits(stored.content.data(), stored.content.size()) == message.hash;
        if (!whole) co_return permanent("length or hash do not fit");
        stored.committed = true;
        co_return Result<void>();
    }
    void abort(const std::string& queue_id) override { messages.at(queue_id).aborted = true; }

  private:
    std::map<std::string, Fd> files_;
};

}  // namespace postrider::smtpd::test
