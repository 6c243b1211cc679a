#include "smtpd/dialogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "libcommon/mail/ascii.h"
#include "libcommon/mail/domain.h"
#include "smtpd/replies.h"

namespace postrider::smtpd {

namespace {

using config::Limit;
using mail::Reply;
using mail::Verb;

// A verb that no mail program knows is junk, and junk comes in quantities: it weighs as two errors.
constexpr std::size_t kUnknownVerbWeight = 2;

// The first word of a command line that belongs to HTTP. A browser that a web page sends here, or a proxy,
// must not get as far as a line of its body that looks like SMTP.
bool is_http(std::string_view line) {
    constexpr std::array<std::string_view, 8> kMethods = {"GET",    "POST",  "PUT",     "HEAD",
                                                          "DELETE", "PATCH", "OPTIONS", "CONNECT"};
    const std::string_view word = line.substr(0, line.find_first_of(" \t"));
    return std::find(kMethods.begin(), kMethods.end(), word) != kMethods.end();
}

// Whether `domain` is `base` or, with a dot in front of `base`, below it; both in lower case.
bool is_within(std::string_view domain, std::string_view base) {
    if (domain == base) return true;
    return base.starts_with('.') && domain.ends_with(base);
}

}  // namespace

Dialogue::Dialogue(const config::Settings& settings, const config::Listener& listener, config::Load load,
                   const Tls& tls, const Logins& logins)
    : settings_(settings),
      listener_(listener),
      tls_(tls),
      logins_(logins),
      patience_(settings.limits, load) {}

Answer Dialogue::greeting(const ClientVerdict& client) {
    client_decided(client);
    // A client we know nothing about yet is greeted; MAIL asks again, and nothing is accepted before.
    if (!client.answered || client.verdict.accepted()) {
        return accept(mail::banner(settings_.hostname));
    }
    Reply refusal = mail::as_banner(*client.verdict.refusal);
    if (refusal.code.is_transient()) return end_with(std::move(refusal), client.verdict.rule);
    phase_ = Phase::Refused;
    return Answer{std::move(refusal), client.verdict.rule, Milliseconds(0), false};
}

void Dialogue::client_decided(const ClientVerdict& client) {
    policy_ = client.policy;
    // Said of a client that has not greeted yet; it holds for every greeting of the session.
    ask_again_with_helo_ = ask_again_with_helo_ || client.ask_again_with_helo;
    patience_.set_tarpit(policy_.tarpit());
}

Answer Dialogue::client_refused(const Verdict& verdict) {
    sender_refused_ = true;
    return refuse(*verdict.refusal, verdict.rule);
}

void Dialogue::note_early_talker() {
    patience_.count_errors(1);
}

std::size_t Dialogue::limit_or(std::uint32_t of_policy, Limit general) const {
    return of_policy > 0 ? of_policy : settings_.limits.size(general);
}

std::uint64_t Dialogue::max_message_size() const {
    return policy_.max_message_size() > 0 ? policy_.max_message_size()
                                          : settings_.limits.get(Limit::MaxMessageSize);
}

std::string Dialogue::protocol() const {
    std::string name = transaction_.parameters.smtputf8 ? "UTF8SMTP" : esmtp_ ? "ESMTP" : "SMTP";
    if (!esmtp_ && !transaction_.parameters.smtputf8) return name;
    if (encrypted_) name += 'S';
    if (!login_.empty()) name += 'A';
    return name;
}

Action Dialogue::command(const mail::Command& command) {
    const bool first = !any_command_;
    any_command_ = true;
    if (first && command.verb == Verb::Unknown && is_http(command.argument)) {
        return end_with(make_reply(554, {5, 5, 1}, "This is a mail server"), "http");
    }
    const bool of_transaction =
        command.verb == Verb::Rcpt || command.verb == Verb::Data || command.verb == Verb::Bdat;
    if (!of_transaction) sender_refused_ = false;
    if (command.verb == Verb::Quit) return quit(command);
    if (phase_ == Phase::OutOfStep)
        return refuse(make_reply(503, {5, 5, 1}, "This may be content, not a command; please QUIT"),
                      "out-of-step");
    if (command.verb == Verb::Help) return help();
    // The octets behind BDAT follow whatever the answer is.
    if (command.verb == Verb::Bdat) return bdat(command);
    if (phase_ == Phase::Refused)
        return refuse(make_reply(503, {5, 5, 1}, "Access denied; please QUIT"), "refused-client");
    switch (command.verb) {
        case Verb::Ehlo:
        case Verb::Helo:
            return hello(command);
        case Verb::Mail: {
            Action action = mail(command);
            sender_refused_ = std::holds_alternative<Answer>(action);
            return action;
        }
        case Verb::Rcpt:
            return rcpt(command);
        case Verb::Data:
            return data(command);
        case Verb::Rset:
            return rset(command);
        case Verb::Noop:
            return non_mail(make_reply(250, {2, 0, 0}, "OK"));
        case Verb::Vrfy:
        case Verb::Expn:
            return vrfy(command);
        case Verb::Etrn:
            return etrn(command);
        case Verb::StartTls:
            return start_tls(command);
        case Verb::Auth:
            return auth(command);
        case Verb::Unknown:
            return unknown(command);
        default:
            return not_implemented();
    }
}

Answer Dialogue::bad_line(LineState state, std::string_view line) {
    any_command_ = true;
    if (announces_content(line)) fall_out_of_step();
    if (state == LineState::TooLong)
        return refuse(make_reply(500, {5, 5, 2}, "Line too long"), "command-line");
    return refuse(make_reply(500, {5, 5, 2}, "Lines end with CR LF and have no other CR, LF or NUL"),
                  "command-line");
}

Answer Dialogue::unreadable_command(const Error& error, std::string_view line) {
    any_command_ = true;
    if (announces_content(line)) fall_out_of_step();
    return refuse(make_reply(500, {5, 5, 2}, error.text), "syntax");
}

Action Dialogue::hello(const mail::Command& command) {
    const bool extended = command.verb == Verb::Ehlo;
    if (extended && hidden(wire::SessionPolicy::EHLO)) return not_implemented();
    if (auto refusal =
            mail::refuse_greeting(command.argument, is_strict(), settings_.limits.size(Limit::DomainLength)))
        return refuse(std::move(*refusal));
    // RFC 5321, 4.1.4: EHLO and HELO in the middle of a session reset it.
    reset_transaction();
    helo_ = command.argument.substr(0, command.argument.find_first_of(" \t"));
    esmtp_ = extended;
    if (ask_again_with_helo_) return AskAgain{};
    return greet_back();
}

Answer Dialogue::greeted(const ClientVerdict& client) {
    if (client.answered && !client.verdict.accepted()) {
        phase_ = Phase::AwaitingHello;
        return refuse(*client.verdict.refusal, client.verdict.rule);
    }
    // As with the banner: nothing is accepted before MAIL has asked again.
    if (client.answered) client_decided(client);
    return greet_back();
}

Answer Dialogue::greet_back() {
    phase_ = Phase::AwaitingMail;
    Reply greeting{250, std::nullopt, {settings_.hostname}};
    if (esmtp_) {
        const std::vector<std::string> extensions = extension_lines();
        greeting.lines.insert(greeting.lines.end(), extensions.begin(), extensions.end());
    }
    Answer answer = non_mail(std::move(greeting));
    answer.keeps_lines = true;
    return answer;
}

Action Dialogue::help() {
    Reply reply{214, mail::EnhancedCode{2, 0, 0}, settings_.help_text};
    reply.lines.emplace_back("Commands: EHLO HELO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP");
    return non_mail(std::move(reply));
}

Action Dialogue::rset(const mail::Command& command) {
    if (is_strict() && !command.argument.empty()) return refuse_argument();
    // RSET without HELO leaves the session where it was.
    reset_transaction();
    return non_mail(make_reply(250, {2, 0, 0}, "OK"));
}

Action Dialogue::vrfy(const mail::Command& command) {
    const bool expand = command.verb == Verb::Expn;
    if (expand && !policy_.expn()) return not_implemented();
    if (command.argument.empty())
        return refuse(make_reply(501, {5, 5, 4}, "An address is missing"), "syntax");
    // The same for all addresses, so that nobody learns which exist (RFC 5321, 7.3).
    if (!expand && !policy_.vrfy())
        return non_mail(make_reply(252, {2, 5, 2}, "Cannot verify, but will try to deliver"));
    AskAddress asked{command.argument, expand, false};
    const std::size_t blank = asked.address.rfind(' ');
    if (blank != std::string::npos &&
        mail::equal_ignoring_case(std::string_view(asked.address).substr(blank + 1), "SMTPUTF8")) {
        asked.smtputf8 = true;
        asked.address.erase(asked.address.find_last_not_of(' ', blank) + 1);
    }
    if (!asked.smtputf8 && !mail::is_ascii(asked.address))
        return refuse(make_reply(553, {5, 6, 7}, "Addresses beyond ASCII take SMTPUTF8"), "smtputf8");
    return asked;
}

Answer Dialogue::verified(const AskAddress& asked, const VerifiedAddress& found) {
    if (!found.verdict.accepted()) return refuse(*found.verdict.refusal, found.verdict.rule);
    if (found.addresses.empty())
        return non_mail(make_reply(252, {2, 5, 2}, "Cannot verify, but will try to deliver"));
    Reply reply{250, mail::EnhancedCode{2, 1, 5}, {}};
    for (const std::string& address : found.addresses) {
        if (!asked.smtputf8 && !mail::is_ascii(address))
            return refuse(make_reply(553, {5, 6, 8}, "The answer takes SMTPUTF8"), "smtputf8");
        reply.lines.push_back("<" + address + ">");
        if (!asked.expand) break;
    }
    Answer answer = non_mail(std::move(reply));
    if (asked.smtputf8) answer.charset = mail::ReplyCharset::Utf8;
    return answer;
}

Action Dialogue::etrn(const mail::Command& command) {
    if (!offers_etrn()) return not_implemented();
    if (phase_ == Phase::AwaitingHello)
        return refuse(make_reply(503, {5, 5, 1}, "Say EHLO first"), "sequence");
    if (phase_ == Phase::InTransaction)
        return refuse(make_reply(503, {5, 5, 1}, "Not in the middle of a transaction"), "sequence");
    StartQueue asked;
    asked.domain = command.argument;
    if (asked.domain.empty()) return refuse(make_reply(501, {5, 5, 4}, "A domain is missing"), "syntax");
    if (asked.domain.starts_with('#'))
        return refuse(make_reply(458, {4, 7, 1}, "There are no named queues here"), "etrn");
    asked.subdomains = asked.domain.starts_with('@');
    if (asked.subdomains) asked.domain.erase(0, 1);
    const auto domain = mail::parse_domain(asked.domain);
    if (!domain || domain->is_literal())
        return refuse(make_reply(501, {5, 5, 4}, "That is not a domain"), "syntax");
    asked.domain = domain->name();
    // A grant of the domain alone is none for those below it.
    asked.granted = has_etrn_for(asked.domain) && (!asked.subdomains || has_etrn_for("any." + asked.domain));
    if (!asked.granted && settings_.etrn != config::EtrnAccess::Exchangers)
        return refuse(make_reply(459, {4, 7, 1}, "Not for that domain"), "etrn");
    return asked;
}

bool Dialogue::has_etrn_for(const std::string& domain) const {
    const auto& allowed = policy_.etrn_domains();
    return policy_.etrn() &&
           (allowed.empty() || std::any_of(allowed.begin(), allowed.end(),
                                           [&](const std::string& base) { return is_within(domain, base); }));
}

Answer Dialogue::etrn_refused(const Verdict& verdict) {
    return refuse(*verdict.refusal, verdict.rule);
}

Answer Dialogue::queue_started(const StartQueue& asked, const Result<StartedQueue>& started) {
    if (!started)
        return refuse(make_reply(458, {4, 3, 0}, "Cannot start the queue now"), started.error().text);
    const std::string& domain = asked.domain;
    if (started->wait > Seconds(0)) {
        return refuse(make_reply(458, {4, 7, 0},
                                 fmt::format("Mail for {} was just asked for; try again in {} seconds",
                                             domain, started->wait.count())),
                      "etrn_interval");
    }
    const std::uint64_t messages = started->messages;
    if (started->unfinished && messages == 0)
        return non_mail(make_reply(250, {2, 0, 0}, fmt::format("Queuing for {} started", domain)));
    if (started->unfinished)
        return non_mail(make_reply(252, {2, 0, 0}, fmt::format("Pending messages for {} started", domain)));
    if (messages == 0)
        return non_mail(make_reply(251, {2, 0, 0}, fmt::format("No messages wait for {}", domain)));
    return non_mail(
        make_reply(253, {2, 0, 0}, fmt::format("{} pending messages for {} started", messages, domain)));
}

Action Dialogue::quit(const mail::Command& command) {
    if (is_strict() && !command.argument.empty()) return refuse_argument();
    reset_transaction();
    Answer answer = accept(make_reply(221, {2, 0, 0}, settings_.hostname + " closing connection"));
    answer.ends_session = true;
    return answer;
}

Action Dialogue::unknown(const mail::Command& command) {
    if (announces_content(command.argument)) fall_out_of_step();
    if (command.argument.empty()) return refuse(make_reply(500, {5, 5, 2}, "Empty line"), "syntax");
    return refuse(make_reply(500, {5, 5, 1}, "Unknown command"), "unknown-command", kUnknownVerbWeight);
}

Answer Dialogue::accept(mail::Reply reply) const {
    return Answer{std::move(reply), std::string(), Milliseconds(0), false};
}

Answer Dialogue::refuse(mail::Reply reply, std::string rule, std::size_t weight) {
    // A temporary refusal is our trouble, or a limit the client could not know; it is not the client's error.
    // Programs of this host send to addresses that people mistyped: the good ones among them must get
    // through.
    const bool permanent = reply.code.is_permanent();
    const bool error = permanent && weight != kExcused && listener_.kind != config::ListenerKind::Local;
    if (error) {
        patience_.count_errors(weight);
    } else {
        patience_.count_excused_refusal();
    }
    if (patience_.exhausted()) {
        return end_with(make_reply(421, {4, 7, 0}, "Too many errors"),
                        error ? "errors_before_drop" : "session_refusals");
    }
    const Milliseconds delay = patience_.delay_of_refusal(error);
    if (permanent && !settings_.reject_footer.empty()) reply.lines.push_back(settings_.reject_footer);
    return Answer{std::move(reply), std::move(rule), delay, false};
}

Answer Dialogue::refuse(mail::Refusal refusal) {
    return refuse(std::move(refusal.reply), std::move(refusal.rule));
}

Answer Dialogue::refuse_without_sender() {
    return refuse(make_reply(503, {5, 5, 1}, "MAIL comes first"), "sequence", sender_refused_ ? kExcused : 1);
}

bool Dialogue::must_be_last(Verb verb) const {
    // Whoever may relay is known to its administrator, and scripts of the host write whole dialogues at once.
    if (policy_.relay() || listener_.kind == config::ListenerKind::Local) return false;
    if (verb == Verb::Ehlo || verb == Verb::Helo) return true;
    // Behind the others comes content, nothing, or no SMTP.
    const bool of_group =
        verb != Verb::Bdat && verb != Verb::Data && verb != Verb::Quit && verb != Verb::Unknown;
    if (!of_group) return false;
    return !esmtp_ || hidden(wire::SessionPolicy::PIPELINING);
}

Answer Dialogue::not_the_last() {
    return end_with(make_reply(503, {5, 5, 1}, "Wait for the answer to each command"), "pipelining");
}

Answer Dialogue::refuse_argument() {
    return refuse(make_reply(501, {5, 5, 4}, "This command takes no argument"), "syntax");
}

Answer Dialogue::not_implemented() {
    return refuse(make_reply(502, {5, 5, 1}, "Command not implemented"), "not-implemented");
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

// What was refused may have announced content, of a length that only the client knows. Another server that
// stands in front of us may have read it and have let anything pass as content. None of that must be obeyed
// here.
void Dialogue::fall_out_of_step() {
    reset_transaction();
    phase_ = Phase::OutOfStep;
}

}  // namespace postrider::smtpd
