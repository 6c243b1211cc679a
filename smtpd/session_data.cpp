#include <algorithm>
#include <chrono>

#include "libcommon/log/log.h"
#include "libcommon/mail/date.h"
#include "smtpd/received.h"
#include "smtpd/session.h"

/// The part of a session between DATA or BDAT and the final reply.
namespace postrider::smtpd {

namespace {

using config::Limit;
using mail::EnhancedCode;
using mail::Reply;

// How often the largest message may pass by, of which nothing is kept, before the session ends.
constexpr std::uint64_t kForgottenMessages = 2;

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

}  // namespace

/// Opens a message with the transaction's envelope. False: it was refused, and the client was told.
async::Task<bool> Session::open_message() {
    wire::Envelope opening = envelope();
    const std::uint64_t size = dialogue_.transaction().parameters.size.value_or(0);
    auto opened = co_await services_.queue.open(std::move(opening), size);
    if (!opened) {
        Verdict verdict = queue_refusal(opened.error(), services_.queue.intake());
        co_await refuse_message(std::move(verdict));
        co_return false;
    }
    incoming_ = std::make_unique<Incoming>();
    incoming_->queue_id = *opened;
    incoming_->began = services_.loop.now();
    incoming_->receiver =
        std::make_unique<ContentReceiver>(trace(*opened), services_.settings, content_options(*opened));
    co_return true;
}

// Small content travels with the commit; what is larger gets a place of its own as soon as that shows.
async::Task<void> Session::place_content(Incoming& incoming) {
    auto file = co_await services_.queue.open_content(incoming.queue_id);
    if (file) {
        incoming.receiver->write_to(std::move(*file));
    } else {
        incoming.receiver->give_up(queue_refusal(file.error(), services_.queue.intake()));
    }
}

// The queue-manager forgets what was opened and never committed.
void Session::drop_message() {
    if (!incoming_) return;
    services_.queue.abort(incoming_->queue_id);
    incoming_.reset();
}

// A command may have ended the transaction, and with it a message that came in chunks.
void Session::drop_ended_message() {
    if (incoming_ && !dialogue_.in_chunks()) drop_message();
}

async::Task<void> Session::take_message() {
    bool opened = co_await open_message();
    if (!opened) {
        co_await refuse_early_content();
        co_return;
    }
    Answer go_ahead = dialogue_.go_ahead();
    co_await say(std::move(go_ahead), "DATA");
    co_await flush();
    Transfer transferred = Transfer::Broken;
    if (!ended_) transferred = co_await transfer_data();
    if (transferred == Transfer::Broken) {
        drop_message();
        co_return;
    }
    co_await complete_message();
}

async::Task<void> Session::take_chunk(TakeChunk chunk) {
    if (!chunk.refusal && !incoming_) {
        bool opened = co_await open_message();
        if (!opened) {
            // The refusal is on its way; what the client has sent behind it is no command.
            co_await forget_chunk(chunk.size);
            co_return;
        }
    }
    if (chunk.refusal) {
        co_await forget_chunk(chunk.size);
        Answer refusal = std::move(*chunk.refusal);
        co_await say(std::move(refusal), "BDAT");
        co_return;
    }
    Transfer transferred = co_await transfer_chunk(chunk.size);
    if (transferred == Transfer::Broken) {
        drop_message();
    } else if (chunk.last || incoming_->receiver->is_worthless()) {
        co_await complete_message();
    } else {
        Answer answer = dialogue_.chunk_taken(chunk.size);
        co_await say(std::move(answer), "BDAT");
    }
}

async::Task<void> Session::forget_chunk(std::uint64_t size) {
    std::uint64_t left = size;
    std::size_t since_turn = 0;
    const SteadyTime began = services_.loop.now();
    while (left > 0 && !ended_) {
        const std::size_t used = std::min<std::uint64_t>(left, stream_.buffered().size());
        stream_.consume(used);
        left -= used;
        if (left == 0) break;
        since_turn += used;
        if (since_turn >= kFairShare) {
            since_turn = 0;
            co_await async::Sleep(services_.loop, Milliseconds(0));
        }
        const Transfer awaited = co_await await_content(began, size - left, true);
        if (awaited == Transfer::Broken) break;
    }
}

async::Task<void> Session::complete_message() {
    std::unique_ptr<Incoming> incoming = std::move(incoming_);
    ContentReceiver& receiver = *incoming->receiver;
    Verdict verdict = receiver.finish();
    if (verdict.accepted() && receiver.needs_file()) {
        co_await place_content(*incoming);
        verdict = receiver.write_verdict();
    }
    if (receiver.write_error()) {
        log::error("cannot write a message")
            .add("session", client_.session_text())
            .add("id", incoming->queue_id)
            .add("reason", receiver.write_error()->text);
    }
    if (!verdict.accepted()) {
        services_.queue.abort(incoming->queue_id);
        co_await refuse_message(std::move(verdict));
        co_return;
    }
    CompleteMessage complete;
    complete.queue_id = incoming->queue_id;
    complete.content = receiver.take_content();
    complete.length = receiver.length();
    complete.hash = receiver.hash();
    if (!dialogue_.transaction().discarded.empty()) log_discarded(complete.queue_id, complete.length);
    if (dialogue_.transaction().is_discarded()) {
        services_.queue.abort(incoming->queue_id);
        Answer answer = dialogue_.message_accepted(incoming->queue_id);
        co_await say(std::move(answer), "DATA");
        co_return;
    }
    incoming.reset();
    co_await commit(std::move(complete));
}

async::Task<Session::Transfer> Session::transfer_data() {
    std::size_t since_turn = 0;
    while (true) {
        const std::size_t used = incoming_->receiver->feed(stream_.buffered());
        stream_.consume(used);
        if (incoming_->receiver->done()) co_return Transfer::Complete;
        incoming_->octets += used;
        if (incoming_->receiver->needs_file()) co_await place_content(*incoming_);
        since_turn += used;
        if (since_turn >= kFairShare) {
            since_turn = 0;
            co_await async::Sleep(services_.loop, Milliseconds(0));
        }
        const bool worthless = incoming_->receiver->is_worthless();
        const Transfer awaited = co_await await_content(incoming_->began, incoming_->octets, worthless);
        if (awaited == Transfer::Broken) co_return Transfer::Broken;
    }
}

async::Task<Session::Transfer> Session::transfer_chunk(std::uint64_t size) {
    std::uint64_t left = size;
    std::size_t since_turn = 0;
    while (true) {
        const std::string_view octets = stream_.buffered().substr(0, left);
        incoming_->receiver->feed_chunk(octets);
        const std::size_t used = octets.size();
        left -= used;
        stream_.consume(used);
        incoming_->octets += used;
        if (incoming_->receiver->needs_file()) co_await place_content(*incoming_);
        if (left == 0) co_return Transfer::Complete;
        since_turn += used;
        if (since_turn >= kFairShare) {
            since_turn = 0;
            co_await async::Sleep(services_.loop, Milliseconds(0));
        }
        const bool worthless = incoming_->receiver->is_worthless();
        const Transfer awaited = co_await await_content(incoming_->began, incoming_->octets, worthless);
        if (awaited == Transfer::Broken) co_return Transfer::Broken;
    }
}

/// Waits for the next octets of a transfer that began at `began` and has brought `received` octets so far.
/// `worthless`: they are only read to find their end, which is not done for ever.
async::Task<Session::Transfer> Session::await_content(SteadyTime began, std::uint64_t received,
                                                      bool worthless) {
    const config::Limits& limits = services_.settings.limits;
    if (worthless && (received > kForgottenMessages * dialogue_.max_message_size() || is_over_time())) {
        Answer answer{Reply{421, EnhancedCode{4, 7, 0}, {"Too much content that was refused"}},
                      "max_message_size", Milliseconds(0), true};
        co_await say(std::move(answer), "DATA");
        co_return Transfer::Broken;
    }
    const Milliseconds idle = limits.time(Limit::ReceiveIdleTimeout);
    async::Deadline deadline = services_.loop.after(idle);
    auto filled = co_await stream_.fill(kInputBlock, deadline);
    if (filled && !*filled) lose("closed by the client in the middle of a message");
    if (!filled && !stream_.timed_out()) lose(filled.error().text);
    if (ended_) co_return Transfer::Broken;
    // The average is of interest only after a while, in which a single pause would distort it.
    const auto elapsed = std::chrono::duration_cast<Seconds>(services_.loop.now() - began - idle).count();
    const bool slow =
        elapsed > 0 && received < limits.get(Limit::ReceiveMinRate) * static_cast<std::uint64_t>(elapsed);
    if (filled && !slow) co_return Transfer::Complete;
    Answer answer{Reply{421, EnhancedCode{4, 4, 2}, {"The message arrives too slowly"}},
                  slow ? "receive_min_rate" : "receive_idle_timeout", Milliseconds(0), true};
    co_await say(std::move(answer), "DATA");
    co_return Transfer::Broken;
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
        .add("login", dialogue_.login())
        .add_address("from", dialogue_.transaction().sender)
        .add("nrcpt", dialogue_.transaction().recipients.size())
        .add("size", size);
    Answer answer = dialogue_.message_accepted(id);
    co_await say(std::move(answer), "DATA");
}

void Session::log_discarded(const std::string& id, std::uint64_t size) const {
    const Transaction& transaction = dialogue_.transaction();
    for (const wire::Recipient& recipient : transaction.discarded) {
        log::info("discarded")
            .add("session", client_.session_text())
            .add("id", id)
            .add("client", client_.text())
            .add_address("from", transaction.sender)
            .add_address("to", recipient.address())
            .add("size", size)
            .add("rule", transaction.discard_rule);
    }
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
    if (ended_ || (stream_.buffered().empty() && !stream_.stale())) co_return;
    Answer answer{Reply{421, EnhancedCode{4, 7, 0}, {"DATA was refused, but something follows it"}},
                  "early-content", Milliseconds(0), true};
    co_await say(std::move(answer), "DATA");
}

wire::Envelope Session::envelope() const {
    const Transaction& transaction = dialogue_.transaction();
    wire::Envelope envelope;
    envelope.set_sender(transaction.sender);
    envelope.set_stranger(transaction.stranger);
    // One that nobody gets is opened like any other, so that its content is held to the same rules, and never
    // committed.
    for (const wire::Recipient& recipient :
         transaction.is_discarded() ? transaction.discarded : transaction.recipients)
        *envelope.add_recipients() = recipient;
    envelope.set_quarantine_rule(transaction.quarantine_rule);
    envelope.set_quarantine_reason(transaction.quarantine_reason);
    envelope.set_body(transaction.parameters.body);
    envelope.set_smtputf8(transaction.parameters.smtputf8);
    envelope.set_envid(transaction.parameters.envid);
    envelope.set_ret(transaction.parameters.ret);
    if (client_.address) envelope.set_client_address(client_.address->text());
    envelope.set_client_name(client_name_);
    envelope.set_helo(dialogue_.helo());
    envelope.set_login(dialogue_.login().empty() ? client_.local_user : dialogue_.login());
    envelope.set_protocol(dialogue_.protocol());
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
    trace.hidden = services_.settings.received_hide_client && !dialogue_.login().empty();
    trace.hostname = services_.settings.hostname;
    trace.protocol = dialogue_.protocol();
    if (tls_session_) trace.tls = tls_session_->version + " " + tls_session_->cipher;
    trace.queue_id = queue_id;
    if (transaction.recipient_count() == 1 && !transaction.is_discarded())
        trace.recipient = transaction.recipients.front().address();
    trace.time = unix_millis_now();
    return received_header(trace);
}

ContentOptions Session::content_options(const std::string& queue_id) const {
    ContentOptions options;
    options.in_chunks = dialogue_.in_chunks();
    options.binary = dialogue_.transaction().parameters.body == wire::Envelope::BINARYMIME;
    options.max_size = dialogue_.max_content_size();
    const bool submission =
        listener_.kind == config::ListenerKind::Submission || listener_.kind == config::ListenerKind::Local;
    if (submission) {
        // The time zone's file is out of reach of a process without a file system.
        options.date_field =
            "Date: " + mail::format_date(unix_millis_now(), std::chrono::minutes(0)) + "\r\n";
        options.message_id_field = "Message-ID: <" + queue_id + "@" + services_.settings.hostname + ">\r\n";
    }
    return options;
}

}  // namespace postrider::smtpd
