#include "remote-delivery/session.h"

#include <fmt/format.h>

#include <utility>

#include "libcommon/log/log.h"

namespace postrider::remote_delivery {
namespace {

using async::Deadline;
using async::Task;
using config::Limit;

Limit limit_of(Stage stage) {
    switch (stage) {
        case Stage::Connect:
            return Limit::ConnectTimeout;
        case Stage::Greeting:
            return Limit::GreetingTimeout;
        case Stage::Ehlo:
            return Limit::EhloTimeout;
        case Stage::Mail:
            return Limit::MailTimeout;
        case Stage::Rcpt:
            return Limit::RcptTimeout;
        case Stage::Data:
            return Limit::DataTimeout;
        case Stage::Content:
            return Limit::DataBlockTimeout;
        case Stage::FinalDot:
            return Limit::FinalDotTimeout;
        case Stage::Reset:
            return Limit::RsetTimeout;
        case Stage::Quit:
            return Limit::QuitTimeout;
    }
    return Limit::QuitTimeout;
}

constexpr int kServiceEnds = 421;  // RFC 5321, 3.8: the server closes the connection, whatever was asked

}  // namespace

Session::Session(async::Loop& loop, Fd socket, std::string host, const config::Limits& limits)
    : loop_(loop),
      stream_(loop, std::move(socket)),
      replies_(stream_),
      host_(std::move(host)),
      limits_(limits),
      opened_(loop.now()) {}

Deadline Session::deadline_of(Stage stage) const {
    return loop_.after(limits_.time(limit_of(stage)));
}

bool Session::used_up() const {
    return messages_ >= (most_messages_ != 0 ? most_messages_ : limits_.size(Limit::ConnectionMessages));
}

bool Session::worth_keeping() const {
    return usable_ && !used_up() && loop_.now() - opened_ < limits_.time(Limit::ConnectionLifetime);
}

// ---- replies
// -------------------------------------------------------------------------------------------------

Judgement Session::lost(Stage stage, const Error& error) {
    usable_ = false;
    return judge_failure(stage, error.text);
}

Task<Judgement> Session::read(Stage stage) {
    Result<mail::Reply> reply = co_await replies_.read(deadline_of(stage));
    if (!reply) co_return lost(stage, reply.error());
    if (log::enabled(log::Level::Debug)) {
        log::debug("reply")
            .add("relay", host_)
            .add("stage", doing(stage))
            .add("reply", mail::summary(*reply));
    }
    if (reply->code.value() == kServiceEnds) usable_ = false;
    last_reply_ = std::move(*reply);
    co_return judge(stage, *last_reply_);
}

Task<Judgement> Session::command(Stage stage, std::string line) {
    stream_.put(line);
    Result<void> sent = co_await stream_.flush(deadline_of(stage));
    if (!sent) co_return lost(stage, sent.error());
    co_return co_await read(stage);
}

// ---- the dialogue
// --------------------------------------------------------------------------------------------

Task<std::optional<Judgement>> Session::greet(std::string hostname) {
    Judgement greeting = co_await read(Stage::Greeting);
    if (greeting.next != Next::Accepted) co_return greeting;
    Judgement ehlo = co_await command(Stage::Ehlo, fmt::format("EHLO {}\r\n", hostname));
    if (ehlo.next == Next::Accepted) {
        capabilities_ = parse_capabilities(last_reply_->lines);
        co_return std::nullopt;
    }
    if (!usable_ || !last_reply_->code.is_permanent()) co_return ehlo;
    Judgement helo = co_await command(Stage::Ehlo, fmt::format("HELO {}\r\n", hostname));
    if (helo.next == Next::Accepted) co_return std::nullopt;
    co_return helo;
}

Task<void> Session::send(Transaction& transaction) {
    lost_before_mail_ = false;
    Preparation preparation = prepare(transaction, capabilities_);
    if (preparation.refusal) {
        transaction.settle_from(0, *preparation.refusal);
        co_return;
    }
    ++messages_;
    Judgement data = co_await envelope(transaction, std::move(preparation.options));
    if (!usable_) {
        transaction.settle_accepted(data);
        co_return;
    }
    bool server_waits = data.next == Next::Accepted;
    if (transaction.accepted() > 0 && server_waits) {
        co_await content(transaction);
        co_return;
    }
    transaction.settle_accepted(data);
    co_await leave_transaction(server_waits);
}

Task<Judgement> Session::envelope(Transaction& transaction, MailOptions options) {
    if (capabilities_.pipelining) co_return co_await envelope_at_once(transaction, std::move(options));
    co_return co_await envelope_in_steps(transaction, std::move(options));
}

/// RFC 2920: everything up to DATA in one write, then all the replies in order.
Task<Judgement> Session::envelope_at_once(Transaction& transaction, MailOptions options) {
    stream_.put(mail_command(transaction.sender, options, capabilities_));
    for (const TransactionRecipient& recipient : transaction.recipients) {
        stream_.put(rcpt_command(*recipient.delivery, capabilities_));
    }
    Judgement mail = co_await command(Stage::Mail, "DATA\r\n");
    if (!usable_) {
        lost_before_mail_ = true;
        transaction.settle_from(0, mail);
        co_return mail;
    }
    for (std::size_t i = 0; i < transaction.recipients.size(); ++i) {
        Judgement rcpt = co_await read(Stage::Rcpt);
        if (!usable_) {
            transaction.settle_from(i, rcpt);
            co_return rcpt;
        }
        // After a refused MAIL the server only complains about the order of commands.
        transaction.recipients[i].judgement = mail.next == Next::Accepted ? rcpt : mail;
    }
    co_return co_await read(Stage::Data);
}

Task<Judgement> Session::envelope_in_steps(Transaction& transaction, MailOptions options) {
    Judgement mail = co_await command(Stage::Mail, mail_command(transaction.sender, options, capabilities_));
    if (mail.next != Next::Accepted) {
        lost_before_mail_ = !usable_;
        transaction.settle_from(0, mail);
        co_return mail;
    }
    for (std::size_t i = 0; i < transaction.recipients.size(); ++i) {
        std::string line = rcpt_command(*transaction.recipients[i].delivery, capabilities_);
        Judgement rcpt = co_await command(Stage::Rcpt, std::move(line));
        bool full = rcpt.next == Next::SameHostAgain && transaction.accepted() > 0;
        if (!usable_ || full) transaction.settle_from(i, rcpt);
        if (!usable_) co_return rcpt;
        if (full) break;
        transaction.recipients[i].judgement = std::move(rcpt);
    }
    if (transaction.accepted() == 0) co_return deferred("4.5.0", "no recipient was accepted");
    co_return co_await command(Stage::Data, "DATA\r\n");
}

/// Ends a transaction in which nothing is sent. A server that answered a pipelined DATA with 354 though it
/// took no recipient waits for content: it gets none, and what it says about that is of no interest (RFC
/// 2920, 3.1).
Task<void> Session::leave_transaction(bool server_waits) {
    if (server_waits) {
        co_await command(Stage::FinalDot, ".\r\n");
    } else {
        Judgement reset = co_await command(Stage::Reset, "RSET\r\n");
        if (reset.next != Next::Accepted) usable_ = false;
    }
}

Result<std::uint64_t> Session::put_piece(const Content& content, std::uint64_t position,
                                         mail::DataEncoder& encoder) {
    auto piece = content.piece(position);
    if (!piece) return failure(piece.error());
    // Kept between calls for its memory.
    thread_local std::string encoded;
    encoded.clear();
    encoder.encode(*piece, encoded);
    if (position + piece->size() == content.length()) encoder.finish(encoded);
    stream_.put(encoded);
    return position + piece->size();
}

Task<void> Session::content(Transaction& transaction) {
    const Content& message = transaction.message->content;
    mail::DataEncoder encoder;
    std::string fields;
    encoder.encode(transaction.trace_fields, fields);
    stream_.put(fields);
    std::uint64_t position = 0;
    do {
        auto reached = put_piece(message, position, encoder);
        if (!reached) {
            // A connection that closes before the final dot delivers nothing; a dot here would deliver a
            // half.
            usable_ = false;
            transaction.settle_accepted(deferred("4.3.0", reached.error().text));
            co_return;
        }
        position = *reached;
        Result<void> sent = co_await stream_.flush(deadline_of(Stage::Content));
        if (!sent) {
            Judgement verdict = co_await early_verdict(sent.error());
            transaction.settle_accepted(verdict);
            co_return;
        }
    } while (position < message.length());
    Judgement verdict = co_await read(Stage::FinalDot);
    transaction.settle_accepted(verdict);
}

/// A server that has seen enough may say why before it closes.
Task<Judgement> Session::early_verdict(Error error) {
    usable_ = false;
    Result<mail::Reply> reply = co_await replies_.read(deadline_of(Stage::Quit));
    if (reply && !reply->code.is_positive()) co_return judge(Stage::FinalDot, *reply);
    co_return judge_failure(Stage::Content, error.text);
}

Task<void> Session::quit() {
    if (!usable_) co_return;
    co_await command(Stage::Quit, "QUIT\r\n");
    usable_ = false;
}

}  // namespace postrider::remote_delivery
