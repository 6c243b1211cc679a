#include <chrono>

#include "libcommon/log/log.h"
#include "smtpd/received.h"
#include "smtpd/session.h"

/// The part of a session between DATA and its final reply.
namespace postrider::smtpd {

namespace {

using config::Limit;
using mail::EnhancedCode;
using mail::Reply;

// A client on a fast line never lets us wait for it; after this many octets the other sessions get their
// turn.
constexpr std::size_t kFairShare = std::size_t{1024} * 1024;

Verdict temporary_failure(std::string rule) {
    Verdict verdict;
    verdict.refusal = Reply{451, EnhancedCode{4, 3, 0}, {"Temporary failure, please try again later"}};
    verdict.rule = std::move(rule);
    return verdict;
}

Verdict queue_refusal(const Error& error, const Intake& intake) {
    Verdict verdict = temporary_failure("queue-manager: " + error.text);
    if (!error.temporary()) {
        verdict.refusal = Reply{554, EnhancedCode{5, 3, 0}, {error.text}};
    } else if (!intake.accepting) {
        verdict.refusal = Reply{452, EnhancedCode{4, 3, 1}, {intake.reason}};
    }
    return verdict;
}

/// Tells the queue-manager to forget a message, unless it was told that it is complete.
class OpenedGuard {
  public:
    OpenedGuard(Queue& queue, std::string queue_id) : queue_(queue), queue_id_(std::move(queue_id)) {}
    ~OpenedGuard() {
        if (!completed_) queue_.abort(queue_id_);
    }
    OpenedGuard(const OpenedGuard&) = delete;
    OpenedGuard& operator=(const OpenedGuard&) = delete;

    void completed() { completed_ = true; }

  private:
    Queue& queue_;
    std::string queue_id_;
    bool completed_ = false;
};

}  // namespace

async::Task<void> Session::take_message() {
    wire::Envelope opening = envelope();
    const std::uint64_t size = dialogue_.transaction().declared_size;
    auto opened = co_await services_.queue.open(std::move(opening), size);
    if (!opened) {
        Verdict verdict = queue_refusal(opened.error(), services_.queue.intake());
        co_await refuse_message(std::move(verdict));
        co_await refuse_early_content();
        co_return;
    }
    co_await receive_content(std::move(*opened));
}

async::Task<void> Session::receive_content(OpenedMessage message) {
    OpenedGuard guard(services_.queue, message.queue_id);
    Answer go_ahead = dialogue_.go_ahead();
    co_await say(std::move(go_ahead), "DATA");
    co_await flush();
    if (ended_) co_return;
    std::string field = trace(message.queue_id);
    auto receiver =
        std::make_unique<ContentReceiver>(std::move(message.content), std::move(field), services_.settings);
    Transfer transferred = co_await transfer(*receiver);
    if (transferred == Transfer::Broken) co_return;
    Verdict verdict = receiver->finish();
    if (receiver->write_error()) {
        log::error("cannot write a message")
            .add("session", client_.session_text())
            .add("id", message.queue_id)
            .add("reason", receiver->write_error()->text);
    }
    if (!verdict.accepted()) {
        co_await refuse_message(std::move(verdict));
        co_return;
    }
    guard.completed();
    CompleteMessage complete{message.queue_id, receiver->length(), receiver->hash()};
    receiver.reset();
    co_await commit(std::move(complete));
}

async::Task<Session::Transfer> Session::transfer(ContentReceiver& receiver) {
    const config::Limits& limits = services_.settings.limits;
    const Milliseconds idle = limits.time(Limit::ReceiveIdleTimeout);
    const SteadyTime began = services_.loop.now();
    std::uint64_t received = 0;
    std::size_t since_turn = 0;
    while (true) {
        const std::size_t used = receiver.feed(stream_.buffered());
        stream_.consume(used);
        if (receiver.done()) co_return Transfer::Complete;
        received += used;
        since_turn += used;
        if (since_turn >= kFairShare) {
            since_turn = 0;
            co_await async::Sleep(services_.loop, Milliseconds(0));
        }
        async::Deadline deadline = services_.loop.after(idle);
        auto filled = co_await stream_.fill(kInputBlock, deadline);
        if (filled && !*filled) lose("closed by the client in the middle of a message");
        // A connection that is quiet, but not broken, has timed out.
        if (!filled && stream_.stale()) lose(filled.error().text);
        if (ended_) co_return Transfer::Broken;
        // The average is of interest only after a while, in which a single pause would distort it.
        const auto elapsed = std::chrono::duration_cast<Seconds>(services_.loop.now() - began - idle).count();
        const bool slow =
            elapsed > 0 && received < limits.get(Limit::ReceiveMinRate) * static_cast<std::uint64_t>(elapsed);
        if (!filled || slow) {
            Answer answer{Reply{421, EnhancedCode{4, 4, 2}, {"The message arrives too slowly"}},
                          slow ? "receive_min_rate" : "receive_idle_timeout", Milliseconds(0), true};
            co_await say(std::move(answer), "DATA");
            co_return Transfer::Broken;
        }
    }
}

async::Task<void> Session::commit(CompleteMessage message) {
    const std::string id = message.queue_id;
    const std::uint64_t size = message.length;
    auto committed = co_await services_.queue.commit(std::move(message));
    if (!committed) {
        Verdict verdict = queue_refusal(committed.error(), services_.queue.intake());
        co_await refuse_message(std::move(verdict));
        co_return;
    }
    log::info("accepted")
        .add("session", client_.session_text())
        .add("id", id)
        .add("client", client_.text())
        .add("helo", dialogue_.helo())
        .add_address("from", dialogue_.transaction().sender)
        .add("nrcpt", dialogue_.transaction().recipients.size())
        .add("size", size);
    Answer answer = dialogue_.message_accepted(id);
    co_await say(std::move(answer), "DATA");
}

async::Task<void> Session::refuse_message(Verdict verdict) {
    // The log line is written when the transaction has ended, and nobody else would know the sender any more.
    std::string command = "DATA <" + dialogue_.transaction().sender + ">";
    Answer answer = dialogue_.message_refused(verdict);
    co_await say(std::move(answer), std::move(command));
}

// DATA is the last command of a pipelined group (RFC 2920, 3.1). What a client sent behind it without waiting
// is the content of the message that was just refused; it must not be taken for commands.
async::Task<void> Session::refuse_early_content() {
    if (ended_ || stream_.buffered().empty()) co_return;
    Answer answer{Reply{421, EnhancedCode{4, 7, 0}, {"DATA was refused, but something follows it"}},
                  "early-content", Milliseconds(0), true};
    co_await say(std::move(answer), "DATA");
}

wire::Envelope Session::envelope() const {
    const Transaction& transaction = dialogue_.transaction();
    wire::Envelope envelope;
    envelope.set_sender(transaction.sender);
    for (const std::string& recipient : transaction.recipients)
        envelope.add_recipients()->set_address(recipient);
    envelope.set_body(transaction.body);
    if (client_.address) envelope.set_client_address(client_.address->text());
    envelope.set_client_name(client_name_);
    envelope.set_helo(dialogue_.helo());
    envelope.set_login(client_.local_user);
    envelope.set_protocol(dialogue_.esmtp() ? "ESMTP" : "SMTP");
    envelope.set_arrival_ms(unix_millis_now());
    return envelope;
}

std::string Session::trace(const std::string& queue_id) const {
    const Transaction& transaction = dialogue_.transaction();
    Trace trace;
    trace.helo = dialogue_.helo();
    trace.client_name = client_name_;
    trace.client_literal = client_.literal();
    trace.local_user = client_.local_user;
    trace.hostname = services_.settings.hostname;
    trace.protocol = dialogue_.esmtp() ? "ESMTP" : "SMTP";
    trace.queue_id = queue_id;
    if (transaction.recipients.size() == 1) trace.recipient = transaction.recipients.front();
    trace.time = unix_millis_now();
    return received_header(trace);
}

}  // namespace postrider::smtpd
