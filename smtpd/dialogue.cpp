#include "smtpd/dialogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "libcommon/mail/ascii.h"
#include "libcommon/mail/domain.h"
#include "libcommon/mail/parameters.h"
#include "libcommon/mail/path.h"

namespace postrider::smtpd {

namespace {

using config::Limit;
using config::ListenerKind;
using mail::EnhancedCode;
using mail::Reply;
using mail::ReplyCode;
using mail::Verb;

// A verb that no mail program knows is junk, and junk comes in quantities: it weighs as two errors.
constexpr std::size_t kUnknownVerbWeight = 2;

// RFC 1870: a size has at most 20 digits.
constexpr std::size_t kSizeDigits = 20;

Reply make_reply(ReplyCode code, EnhancedCode enhanced, std::string text) {
    return Reply{code, enhanced, {std::move(text)}};
}

// The first word of a command line that belongs to HTTP. A browser that a web page sends here, or a proxy,
// must not get as far as a line of its body that looks like SMTP.
bool is_http(std::string_view line) {
    constexpr std::array<std::string_view, 8> kMethods = {"GET",    "POST",  "PUT",     "HEAD",
                                                          "DELETE", "PATCH", "OPTIONS", "CONNECT"};
    const std::string_view word = line.substr(0, line.find_first_of(" \t"));
    return std::find(kMethods.begin(), kMethods.end(), word) != kMethods.end();
}

// The value of SIZE=, or nothing. What has 20 digits and does not fit is as large as can be.
std::optional<std::uint64_t> parse_declared_size(std::string_view text) {
    if (text.empty() || text.size() > kSizeDigits) return std::nullopt;
    if (!std::all_of(text.begin(), text.end(), mail::is_digit)) return std::nullopt;
    std::uint64_t size = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (error == std::errc::result_out_of_range) return UINT64_MAX;
    return size;
}

}  // namespace

Dialogue::Dialogue(const config::Settings& settings, const config::Listener& listener, config::Load load)
    : settings_(settings), listener_(listener), patience_(settings.limits, load) {}

Answer Dialogue::greeting(const ClientVerdict& client) {
    client_decided(client);
    // A client we know nothing about yet is greeted; MAIL asks again, and nothing is accepted before.
    if (!client.answered || client.verdict.accepted()) {
        return accept(Reply{220, std::nullopt, {settings_.hostname + " ESMTP Postrider"}});
    }
    Reply refusal = *client.verdict.refusal;
    if (refusal.code.is_transient()) {
        refusal.code = 421;  // of the transient codes, a banner can have only this one
        return end_with(refusal, client.verdict.rule);
    }
    refusal.code = 554;
    phase_ = Phase::Refused;
    return Answer{std::move(refusal), client.verdict.rule, Milliseconds(0), false};
}

void Dialogue::client_decided(const ClientVerdict& client) {
    may_relay_ = client.policy.relay();
}

Answer Dialogue::client_refused(const Verdict& verdict) {
    return refuse(*verdict.refusal, verdict.rule);
}

void Dialogue::note_early_talker() {
    patience_.count_errors(1);
}

Action Dialogue::command(const mail::Command& command) {
    const bool first = !any_command_;
    any_command_ = true;
    if (first && command.verb == Verb::Unknown && is_http(command.argument)) {
        return end_with(make_reply(554, {5, 5, 1}, "This is a mail server"), "http");
    }
    if (command.verb == Verb::Quit) return quit(command);
    if (command.verb == Verb::Help) {
        return non_mail(
            make_reply(214, {2, 0, 0}, "Commands: EHLO HELO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP"));
    }
    if (phase_ == Phase::Refused)
        return refuse(make_reply(503, {5, 5, 1}, "Access denied; please QUIT"), "refused-client");
    switch (command.verb) {
        case Verb::Ehlo:
        case Verb::Helo:
            return hello(command);
        case Verb::Mail:
            return mail(command);
        case Verb::Rcpt:
            return rcpt(command);
        case Verb::Data:
            return data(command);
        case Verb::Rset:
            return rset(command);
        case Verb::Noop:
            return non_mail(make_reply(250, {2, 0, 0}, "OK"));
        case Verb::Vrfy:
            return vrfy(command);
        case Verb::Unknown:
            return unknown(command);
        default:
            return refuse(make_reply(502, {5, 5, 1}, "Command not implemented"), "not-implemented");
    }
}

Answer Dialogue::bad_line(LineState state) {
    any_command_ = true;
    if (state == LineState::TooLong)
        return refuse(make_reply(500, {5, 5, 2}, "Line too long"), "command-line");
    return refuse(make_reply(500, {5, 5, 2}, "Lines end with CR LF and have no other CR, LF or NUL"),
                  "command-line");
}

Answer Dialogue::unreadable_command(const Error& error) {
    any_command_ = true;
    return refuse(make_reply(500, {5, 5, 2}, error.text), "syntax");
}

Action Dialogue::hello(const mail::Command& command) {
    // Old clients say more than their name; the name comes first.
    const std::string name = command.argument.substr(0, command.argument.find_first_of(" \t"));
    if (name.empty()) return refuse(make_reply(501, {5, 5, 4}, "A host name is missing"), "syntax");
    const bool malformed =
        listener_.strict && (name.size() != command.argument.size() || !mail::parse_domain(name));
    if (malformed || name.size() > settings_.limits.size(Limit::DomainLength)) {
        return refuse(make_reply(501, {5, 5, 2}, "That is not a host name"), "syntax");
    }
    // RFC 5321, 4.1.4: EHLO and HELO in the middle of a session reset it.
    reset_transaction();
    phase_ = Phase::AwaitingMail;
    helo_ = name;
    esmtp_ = command.verb == Verb::Ehlo;
    Reply greeting{250, std::nullopt, {settings_.hostname}};
    if (esmtp_) {
        const std::uint64_t size = settings_.limits.get(Limit::MaxMessageSize);
        greeting.lines.insert(greeting.lines.end(), {"PIPELINING", fmt::format("SIZE {}", size), "8BITMIME",
                                                     "ENHANCEDSTATUSCODES", "HELP"});
    }
    return non_mail(std::move(greeting));
}

std::optional<Answer> Dialogue::refuse_mail() {
    if (phase_ == Phase::AwaitingHello)
        return refuse(make_reply(503, {5, 5, 1}, "Say EHLO or HELO first"), "sequence");
    if (phase_ == Phase::InTransaction) {
        return refuse(make_reply(503, {5, 5, 1}, "There is a sender already"), "sequence");
    }
    if (listener_.kind == ListenerKind::Submission && !may_relay_) {
        return refuse(make_reply(530, {5, 7, 0}, "Authentication required"), "authentication-required");
    }
    const Limit limit = may_relay_ ? Limit::TrustedSessionMessages : Limit::SessionMessages;
    if (messages_ >= settings_.limits.size(limit)) {
        return end_with(make_reply(421, {4, 7, 0}, "Enough messages for one session; please connect again"),
                        "session-messages");
    }
    return std::nullopt;
}

Action Dialogue::mail(const mail::Command& command) {
    if (auto refusal = refuse_mail()) return std::move(*refusal);
    const auto argument = mail::path_argument(command, listener_.strict);
    if (!argument) return refuse(make_reply(501, {5, 5, 2}, argument.error().text), "syntax");
    mail::PathOptions options;
    options.strict = listener_.strict;
    options.is_reverse = true;
    const auto parsed = mail::parse_path(*argument, options);
    if (!parsed && listener_.strict) return refuse(make_reply(501, {5, 5, 2}, parsed.error().text), "syntax");
    if (!parsed) return refuse(make_reply(553, {5, 1, 7}, parsed.error().text), "syntax");
    if (parsed->path.was_utf8()) {
        return refuse(make_reply(553, {5, 6, 7}, "Addresses beyond ASCII are not supported"), "smtputf8");
    }
    transaction_ = Transaction();
    if (auto refusal = read_mail_parameters(parsed->rest)) return std::move(*refusal);
    transaction_.sender = parsed->path.to_string();
    phase_ = Phase::InTransaction;
    return AskSender{transaction_.sender};
}

std::optional<Answer> Dialogue::read_mail_parameters(const std::string& text) {
    const auto parameters = mail::parse_parameters(text);
    if (!parameters) return refuse(make_reply(501, {5, 5, 4}, parameters.error().text), "syntax");
    for (const mail::Parameter& parameter : *parameters) {
        const std::string value = parameter.value.value_or("");
        if (parameter.keyword == "SIZE") {
            const auto size = parse_declared_size(value);
            if (!size) return refuse(make_reply(501, {5, 5, 4}, "SIZE= takes a number"), "syntax");
            if (*size > settings_.limits.get(Limit::MaxMessageSize)) {
                return refuse(make_reply(552, {5, 3, 4}, "The message is too large"), "max_message_size");
            }
            transaction_.declared_size = *size;
        } else if (parameter.keyword == "BODY") {
            if (mail::equal_ignoring_case(value, "8BITMIME")) {
                transaction_.body = wire::Envelope::EIGHTBITMIME;
            } else if (!mail::equal_ignoring_case(value, "7BIT")) {
                return refuse(make_reply(501, {5, 5, 4}, "BODY= takes 7BIT or 8BITMIME"), "syntax");
            }
        } else {
            return refuse(make_reply(555, {5, 5, 4}, "Unknown parameter of MAIL"), "syntax");
        }
    }
    return std::nullopt;
}

Answer Dialogue::sender_decided(const Verdict& verdict) {
    if (verdict.accepted()) return accept(make_reply(250, {2, 1, 0}, "Sender OK"));
    reset_transaction();
    return refuse(*verdict.refusal, verdict.rule);
}

Action Dialogue::rcpt(const mail::Command& command) {
    if (phase_ != Phase::InTransaction)
        return refuse(make_reply(503, {5, 5, 1}, "MAIL comes first"), "sequence");
    const auto argument = mail::path_argument(command, listener_.strict);
    if (!argument) return refuse(make_reply(501, {5, 5, 2}, argument.error().text), "syntax");
    mail::PathOptions options;
    options.strict = listener_.strict;
    const auto parsed = mail::parse_path(*argument, options);
    if (!parsed && listener_.strict) return refuse(make_reply(501, {5, 5, 2}, parsed.error().text), "syntax");
    if (!parsed) return refuse(make_reply(553, {5, 1, 3}, parsed.error().text), "syntax");
    if (parsed->path.was_utf8()) {
        return refuse(make_reply(553, {5, 6, 7}, "Addresses beyond ASCII are not supported"), "smtputf8");
    }
    if (!parsed->rest.empty())
        return refuse(make_reply(555, {5, 5, 4}, "Unknown parameter of RCPT"), "syntax");
    const std::size_t recipients = transaction_.recipients.size() + recipients_asked_;
    if (recipients >= settings_.limits.size(Limit::MaxRecipients)) {
        return refuse(make_reply(452, {4, 5, 3}, "Too many recipients"), "max_recipients");
    }
    // The null sender is for notifications, which go to one address or a few.
    if (transaction_.sender.empty() && recipients >= settings_.limits.size(Limit::MaxNullRecipients)) {
        return refuse(make_reply(452, {4, 5, 3}, "Too many recipients for a notification"),
                      "max_null_recipients");
    }
    ++recipients_asked_;
    return AskRecipient{parsed->path.to_string()};
}

Answer Dialogue::recipient_decided(const std::string& recipient, const Verdict& verdict) {
    // The sender before it was refused, in a pipelined group: there is no transaction this could belong to.
    if (phase_ != Phase::InTransaction)
        return refuse(make_reply(503, {5, 5, 1}, "MAIL comes first"), "sequence");
    --recipients_asked_;
    if (!verdict.accepted()) return refuse(*verdict.refusal, verdict.rule);
    auto& recipients = transaction_.recipients;
    // Naming a recipient twice is allowed and means nothing.
    if (std::find(recipients.begin(), recipients.end(), recipient) == recipients.end()) {
        recipients.push_back(recipient);
    }
    return accept(make_reply(250, {2, 1, 5}, "Recipient OK"));
}

Action Dialogue::data(const mail::Command& command) {
    if (!command.argument.empty()) return refuse_argument();
    if (phase_ != Phase::InTransaction)
        return refuse(make_reply(503, {5, 5, 1}, "MAIL comes first"), "sequence");
    if (!has_recipients())
        return refuse(make_reply(554, {5, 5, 1}, "There are no valid recipients"), "sequence");
    return OpenMessage{};
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

Action Dialogue::rset(const mail::Command& command) {
    if (listener_.strict && !command.argument.empty()) return refuse_argument();
    // RSET without HELO leaves the session where it was.
    reset_transaction();
    return non_mail(make_reply(250, {2, 0, 0}, "OK"));
}

Action Dialogue::vrfy(const mail::Command& command) {
    if (command.argument.empty())
        return refuse(make_reply(501, {5, 5, 4}, "An address is missing"), "syntax");
    // The same for all addresses, so that nobody learns which exist (RFC 5321, 7.3).
    return non_mail(make_reply(252, {2, 5, 2}, "Cannot verify, but will try to deliver"));
}

Action Dialogue::quit(const mail::Command& command) {
    if (listener_.strict && !command.argument.empty()) return refuse_argument();
    reset_transaction();
    Answer answer = accept(make_reply(221, {2, 0, 0}, settings_.hostname + " closing connection"));
    answer.ends_session = true;
    return answer;
}

Action Dialogue::unknown(const mail::Command& command) {
    if (command.argument.empty()) return refuse(make_reply(500, {5, 5, 2}, "Empty line"), "syntax");
    return refuse(make_reply(500, {5, 5, 1}, "Unknown command"), "unknown-command", kUnknownVerbWeight);
}

Answer Dialogue::accept(mail::Reply reply) const {
    return Answer{std::move(reply), std::string(), Milliseconds(0), false};
}

Answer Dialogue::refuse(mail::Reply reply, std::string rule, std::size_t weight) {
    // A temporary refusal is our trouble, or a limit the client could not know; it is not the client's error.
    const bool error = reply.code.is_permanent();
    if (error) patience_.count_errors(weight);
    if (patience_.exhausted())
        return end_with(make_reply(421, {4, 7, 0}, "Too many errors"), "errors_before_drop");
    return Answer{std::move(reply), std::move(rule), error ? patience_.delay() : Milliseconds(0), false};
}

Answer Dialogue::refuse_argument() {
    return refuse(make_reply(501, {5, 5, 4}, "This command takes no argument"), "syntax");
}

Answer Dialogue::non_mail(mail::Reply reply) {
    patience_.count_non_mail_command();
    if (patience_.exhausted()) {
        return end_with(make_reply(421, {4, 7, 0}, "Too many commands without mail"), "non_mail_commands");
    }
    return accept(std::move(reply));
}

Answer Dialogue::end_with(mail::Reply reply, std::string rule) const {
    return Answer{std::move(reply), std::move(rule), Milliseconds(0), true};
}

void Dialogue::reset_transaction() {
    transaction_ = Transaction();
    recipients_asked_ = 0;
    if (phase_ == Phase::InTransaction) phase_ = Phase::AwaitingMail;
}

}  // namespace postrider::smtpd
