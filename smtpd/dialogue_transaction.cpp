#include <algorithm>
#include <charconv>

#include "libcommon/mail/ascii.h"
#include "libcommon/mail/path.h"
#include "smtpd/dialogue.h"
#include "smtpd/replies.h"

/// MAIL, RCPT, DATA and BDAT.
namespace postrider::smtpd {

namespace {

using config::Limit;
using config::ListenerKind;
using config::ListenerTls;
using mail::Reply;

/// `BDAT SIZE [LAST]`; nothing if it is malformed. RFC 3030, 2.
std::optional<TakeChunk> parse_chunk(const std::string& argument) {
    TakeChunk chunk;
    const char* end = argument.data() + argument.size();
    const auto [rest, error] = std::from_chars(argument.data(), end, chunk.size);
    if (error != std::errc() || rest == argument.data()) return std::nullopt;
    const std::string_view behind(rest, static_cast<std::size_t>(end - rest));
    chunk.last = mail::equal_ignoring_case(behind, " LAST");
    if (!chunk.last && !behind.empty()) return std::nullopt;
    return chunk;
}

}  // namespace

mail::SessionTerms Dialogue::terms() const {
    mail::SessionTerms terms;
    terms.strict = is_strict();
    terms.fully_qualified = policy_.fully_qualified();
    terms.needs_tls = listener_.tls == ListenerTls::Require || policy_.require_tls();
    terms.needs_login =
        policy_.require_auth() || (listener_.kind == ListenerKind::Submission && !policy_.relay());
    terms.encrypted = encrypted_;
    terms.logged_in = !login_.empty();
    terms.max_message_size = max_message_size();
    return terms;
}

std::optional<Answer> Dialogue::refuse_mail() {
    if (phase_ == Phase::AwaitingHello && !policy_.sloppy())
        return refuse(make_reply(503, {5, 5, 1}, "Say EHLO or HELO first"), "sequence");
    if (in_chunks()) return refuse_within_chunks("There is a sender already");
    if (phase_ == Phase::InTransaction) {
        return refuse(make_reply(503, {5, 5, 1}, "There is a sender already"), "sequence");
    }
    if (auto refusal = mail::refuse_unready(terms())) return refuse(std::move(*refusal));
    const Limit limit = policy_.relay() ? Limit::TrustedSessionMessages : Limit::SessionMessages;
    if (messages_ >= settings_.limits.size(limit)) {
        return end_with(make_reply(421, {4, 7, 0}, "Enough messages for one session; please connect again"),
                        "session-messages");
    }
    return std::nullopt;
}

Action Dialogue::mail(const mail::Command& command) {
    if (auto refusal = refuse_mail()) return std::move(*refusal);
    const auto argument = mail::path_argument(command, is_strict());
    if (!argument) return refuse(make_reply(501, {5, 5, 2}, argument.error().text), "syntax");
    auto parsed = mail::read_path(*argument, mail::PathRole::Sender, terms());
    if (!parsed) return refuse(std::move(parsed.error()));
    auto parameters = read_mail_parameters(parsed->rest, known_extensions());
    if (!parameters) return refuse(*parameters.error().refusal, parameters.error().rule);
    if (auto refusal = mail::refuse_path(parsed->path, parameters->smtputf8, terms()))
        return refuse(std::move(*refusal));
    if (auto refusal = mail::refuse_size(parameters->size.value_or(0), terms()))
        return refuse(std::move(*refusal));
    transaction_ = Transaction();
    transaction_.parameters = std::move(*parameters);
    transaction_.sender = parsed->path.to_string();
    phase_ = Phase::InTransaction;
    return AskSender{transaction_.sender};
}

Answer Dialogue::sender_decided(const Verdict& verdict) {
    if (verdict.accepted()) {
        transaction_.stranger = verdict.stranger;
        return accept(mail::sender_accepted());
    }
    reset_transaction();
    sender_refused_ = true;
    return refuse(*verdict.refusal, verdict.rule);
}

std::optional<Answer> Dialogue::refuse_recipient() {
    const std::size_t recipients = transaction_.recipient_count() + recipients_asked_;
    if (recipients >= limit_or(policy_.max_recipients(), Limit::MaxRecipients))
        return refuse(make_reply(452, {4, 5, 3}, "Too many recipients"), "max_recipients");
    // The null sender is for notifications, which go to one address or a few.
    const std::size_t null_limit = limit_or(policy_.max_null_recipients(), Limit::MaxNullRecipients);
    if (transaction_.sender.empty() && recipients >= null_limit) {
        return refuse(make_reply(452, {4, 5, 3}, "Too many recipients for a notification"),
                      "max_null_recipients");
    }
    return std::nullopt;
}

Action Dialogue::rcpt(const mail::Command& command) {
    if (phase_ != Phase::InTransaction) return refuse_without_sender();
    if (in_chunks()) return refuse_within_chunks("The message has begun already");
    const auto argument = mail::path_argument(command, is_strict());
    if (!argument) return refuse(make_reply(501, {5, 5, 2}, argument.error().text), "syntax");
    auto parsed = mail::read_path(*argument, mail::PathRole::Recipient, terms());
    if (!parsed) return refuse(std::move(parsed.error()));
    auto parameters = read_rcpt_parameters(parsed->rest, known_extensions());
    if (!parameters) return refuse(*parameters.error().refusal, parameters.error().rule);
    if (auto refusal = mail::refuse_path(parsed->path, transaction_.parameters.smtputf8, terms()))
        return refuse(std::move(*refusal));
    if (auto refusal = refuse_recipient()) return std::move(*refusal);
    ++recipients_asked_;
    AskRecipient asked;
    asked.recipient.set_address(parsed->path.to_string());
    asked.recipient.set_notify(parameters->notify);
    asked.recipient.set_orcpt(parameters->orcpt);
    return asked;
}

Answer Dialogue::recipient_decided(const wire::Recipient& recipient, const Verdict& verdict) {
    // The sender before it was refused, in a pipelined group: there is no transaction this could belong to.
    if (phase_ != Phase::InTransaction) return refuse_without_sender();
    --recipients_asked_;
    if (!verdict.accepted()) return refuse(*verdict.refusal, verdict.rule);
    if (auto refusal = mail::refuse_size_for_recipient(transaction_.parameters.size.value_or(0),
                                                       verdict.max_message_size, verdict.rule))
        return refuse(std::move(*refusal));
    if (verdict.max_message_size > 0) {
        const bool smaller = transaction_.max_size == 0 || verdict.max_message_size < transaction_.max_size;
        if (smaller) transaction_.max_size = verdict.max_message_size;
    }
    const bool discarded = verdict.fate == wire::Verdict::DISCARD;
    auto& recipients = discarded ? transaction_.discarded : transaction_.recipients;
    // Naming a recipient twice is allowed and means nothing.
    const bool known = std::any_of(recipients.begin(), recipients.end(), [&](const wire::Recipient& other) {
        return other.address() == recipient.address();
    });
    if (known) return accept(mail::recipient_accepted());
    // Two lists may be too much for one message where each of them is not: the client sends it again for the
    // second one. A single one that is too large was refused by the router for good.
    const std::size_t deliveries = std::max<std::size_t>(verdict.deliveries, 1);
    if (!recipients.empty() &&
        transaction_.deliveries + deliveries > settings_.limits.size(Limit::MaxExpandedRecipients)) {
        return refuse(make_reply(452, {4, 5, 3}, "Too many recipients behind these addresses"),
                      "max_expanded_recipients");
    }
    if (discarded && transaction_.discard_rule.empty()) transaction_.discard_rule = verdict.fate_rule;
    if (verdict.fate == wire::Verdict::QUARANTINE && transaction_.quarantine_rule.empty()) {
        transaction_.quarantine_rule = verdict.fate_rule;
        transaction_.quarantine_reason = verdict.fate_reason;
    }
    transaction_.deliveries += deliveries;
    recipients.push_back(recipient);
    return accept(mail::recipient_accepted());
}

Action Dialogue::data(const mail::Command& command) {
    if (!command.argument.empty()) {
        fall_out_of_step();
        return refuse_argument();
    }
    if (phase_ != Phase::InTransaction) return refuse_without_sender();
    if (in_chunks()) return refuse_within_chunks("The message comes in chunks: BDAT");
    // RFC 3030, 3: DATA could not carry it.
    if (transaction_.parameters.body == wire::Envelope::BINARYMIME)
        return refuse(make_reply(503, {5, 5, 1}, "BINARYMIME takes BDAT"), "sequence");
    if (!has_recipients())
        return refuse(make_reply(554, {5, 5, 1}, "There are no valid recipients"), "sequence");
    return OpenMessage{};
}

Action Dialogue::bdat(const mail::Command& command) {
    auto chunk = parse_chunk(command.argument);
    if (!chunk) {
        // How many octets follow is not known.
        fall_out_of_step();
        return refuse(make_reply(501, {5, 5, 4}, "BDAT takes a number of octets, and LAST"), "syntax");
    }
    chunk->refusal = refuse_chunk(*chunk);
    if (!chunk->refusal) ++transaction_.chunks;
    return std::move(*chunk);
}

// RFC 3030, 2: what comes of chunks after a command that does not belong between them is indeterminate, and
// servers differ. So the message has ended, and chunks that still come belong to none.
Answer Dialogue::refuse_within_chunks(std::string text) {
    reset_transaction();
    return refuse(make_reply(503, {5, 5, 1}, std::move(text)), "sequence");
}

std::optional<Answer> Dialogue::refuse_chunk(const TakeChunk& chunk) {
    if (phase_ == Phase::Refused)
        return refuse(make_reply(503, {5, 5, 1}, "Access denied; please QUIT"), "refused-client");
    if (!offers_chunking()) return not_implemented();
    if (phase_ != Phase::InTransaction) return refuse_without_sender();
    if (!has_recipients())
        return refuse(make_reply(554, {5, 5, 1}, "There are no valid recipients"), "sequence");
    if (chunk.size > max_content_size()) {
        reset_transaction();
        return refuse(make_reply(552, {5, 3, 4}, "The message is too large"), "max_message_size");
    }
    if (transaction_.chunks >= settings_.limits.size(Limit::BdatChunks)) {
        reset_transaction();
        return refuse(make_reply(554, {5, 5, 1}, "Too many chunks"), "bdat_chunks");
    }
    return std::nullopt;
}

std::uint64_t Dialogue::max_content_size() const {
    const std::uint64_t most = max_message_size();
    return transaction_.max_size > 0 ? std::min(most, transaction_.max_size) : most;
}

Answer Dialogue::chunk_taken(std::uint64_t size) const {
    return accept(make_reply(250, {2, 0, 0}, std::to_string(size) + " octets received"));
}

Answer Dialogue::go_ahead() const {
    return accept(Reply{354, std::nullopt, {"End data with <CR><LF>.<CR><LF>"}});
}

Answer Dialogue::message_accepted(const std::string& queue_id) {
    ++messages_;
    patience_.reset();
    reset_transaction();
    return accept(make_reply(250, {2, 0, 0}, "queued as " + queue_id));
}

Answer Dialogue::message_refused(const Verdict& verdict) {
    reset_transaction();
    return refuse(*verdict.refusal, verdict.rule);
}

}  // namespace postrider::smtpd
