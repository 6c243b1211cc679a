#include <fmt/format.h>

#include <algorithm>

#include "libcommon/base/base64.h"
#include "libcommon/base/wipe.h"
#include "libcommon/mail/ascii.h"
#include "smtpd/dialogue.h"
#include "smtpd/replies.h"

/// What a session offers, and the two extensions that change the session itself: STARTTLS and AUTH.
namespace postrider::smtpd {

namespace {

using config::Limit;
using config::ListenerAuth;
using config::ListenerKind;
using config::ListenerTls;
using mail::Reply;

}  // namespace

bool Dialogue::hidden(wire::SessionPolicy::Extension extension) const {
    const auto& hidden = policy_.hidden();
    return std::find(hidden.begin(), hidden.end(), extension) != hidden.end();
}

bool Dialogue::offers_tls() const {
    const bool wanted = listener_.tls == ListenerTls::Offer || listener_.tls == ListenerTls::Require;
    return wanted && listener_.kind != ListenerKind::Local && !encrypted_ && !policy_.hide_tls() &&
           tls_.ready();
}

bool Dialogue::offers_auth() const {
    if (listener_.auth == ListenerAuth::Off || listener_.kind == ListenerKind::Local) return false;
    if (hidden(wire::SessionPolicy::AUTH) || logins_.mechanisms().empty()) return false;
    return encrypted_ || listener_.auth == ListenerAuth::Always;
}

bool Dialogue::offers_etrn() const {
    if (listener_.kind != ListenerKind::Smtp || hidden(wire::SessionPolicy::ETRN)) return false;
    // Which clients the mail of a domain goes to is known only when they say the domain.
    return settings_.etrn == config::EtrnAccess::Exchangers ||
           (settings_.etrn == config::EtrnAccess::Granted && policy_.etrn());
}

bool Dialogue::offers_chunking() const {
    return !hidden(wire::SessionPolicy::CHUNKING);
}

KnownExtensions Dialogue::known_extensions() const {
    KnownExtensions known;
    known.dsn = !hidden(wire::SessionPolicy::DSN);
    known.chunking = offers_chunking();
    known.auth = offers_auth();
    return known;
}

std::vector<std::string> Dialogue::extension_lines() const {
    std::vector<std::string> lines;
    const auto offer = [&lines](bool offered, std::string line) {
        if (offered) lines.push_back(std::move(line));
    };
    offer(!hidden(wire::SessionPolicy::PIPELINING), "PIPELINING");
    offer(true, fmt::format("SIZE {}", max_message_size()));
    offer(!hidden(wire::SessionPolicy::EIGHTBITMIME), "8BITMIME");
    offer(true, "ENHANCEDSTATUSCODES");
    offer(true, "SMTPUTF8");
    offer(!hidden(wire::SessionPolicy::DSN), "DSN");
    offer(offers_chunking(), "CHUNKING");
    offer(offers_chunking(), "BINARYMIME");
    offer(offers_tls(), "STARTTLS");
    offer(offers_auth() && login_.empty(), auth_line());
    offer(offers_etrn(), "ETRN");
    offer(policy_.vrfy(), "VRFY");
    offer(policy_.expn(), "EXPN");
    const Limit messages = policy_.relay() ? Limit::TrustedSessionMessages : Limit::SessionMessages;
    offer(true, fmt::format("LIMITS MAILMAX={} RCPTMAX={}", settings_.limits.get(messages),
                            limit_or(policy_.max_recipients(), Limit::MaxRecipients)));
    offer(true, "HELP");
    return lines;
}

std::string Dialogue::auth_line() const {
    std::string line = "AUTH";
    for (const std::string& mechanism : logins_.mechanisms()) {
        if (offers_mechanism(mechanism)) line += ' ' + mechanism;
    }
    return line;
}

bool Dialogue::offers_mechanism(const std::string& mechanism) const {
    const auto& known = logins_.mechanisms();
    if (mechanism.ends_with("-PLUS") && !channel_binding_) return false;
    return std::find(known.begin(), known.end(), mechanism) != known.end();
}

Action Dialogue::start_tls(const mail::Command& command) {
    if (encrypted_) return refuse(make_reply(503, {5, 5, 1}, "The session is encrypted already"), "sequence");
    if (!offers_tls()) return not_implemented();
    if (!command.argument.empty()) return refuse_argument();
    // Clients that know without EHLO what is offered do no harm: the session begins anew in any case.
    if (phase_ == Phase::AwaitingHello && is_strict())
        return refuse(make_reply(503, {5, 5, 1}, "Say EHLO first"), "sequence");
    return StartTls{accept(make_reply(220, {2, 0, 0}, "Ready to start TLS"))};
}

void Dialogue::encrypted(bool channel_binding) {
    reset_transaction();
    encrypted_ = true;
    channel_binding_ = channel_binding;
    esmtp_ = false;
    helo_.clear();
    if (phase_ != Phase::Refused) phase_ = Phase::AwaitingHello;
}

Action Dialogue::auth(const mail::Command& command) {
    if (!login_.empty()) return refuse(make_reply(503, {5, 5, 1}, "You are logged in already"), "sequence");
    if (phase_ == Phase::AwaitingHello)
        return refuse(make_reply(503, {5, 5, 1}, "Say EHLO first"), "sequence");
    if (phase_ == Phase::InTransaction)
        return refuse(make_reply(503, {5, 5, 1}, "Not in the middle of a transaction"), "sequence");
    if (!offers_auth()) {
        if (encrypted_ || !offers_tls()) return not_implemented();
        return refuse(make_reply(538, {5, 7, 11}, "Passwords travel encrypted only: STARTTLS first"),
                      "auth-without-tls");
    }
    ++auth_attempts_;
    if (auth_attempts_ > settings_.limits.size(Limit::AuthAttempts))
        return end_with(make_reply(421, {4, 7, 0}, "Too many attempts to log in"), "auth_attempts");
    const std::size_t blank = command.argument.find(' ');
    Authenticate asked;
    asked.mechanism = mail::to_upper(command.argument.substr(0, blank));
    if (asked.mechanism.empty())
        return refuse(make_reply(501, {5, 5, 4}, "A mechanism is missing"), "syntax");
    if (!offers_mechanism(asked.mechanism))
        return refuse(make_reply(504, {5, 5, 4}, "Unknown mechanism"), "syntax");
    if (blank == std::string::npos) return asked;
    std::string initial = command.argument.substr(blank + 1);
    // RFC 4954, 4: an initial response of no octets is written "=".
    asked.initial = initial == "=" ? std::string() : decode_base64(initial);
    wipe(initial);
    if (!asked.initial) return authentication_unreadable();
    return asked;
}

Answer Dialogue::authenticated(const wire::AuthOutcome& outcome) {
    Answer answer = answer_to(outcome.result());
    if (outcome.result() == wire::AuthOutcome::ACCEPTED) login_ = outcome.login();
    answer.delay = std::max(answer.delay, Milliseconds(outcome.delay_ms()));
    return answer;
}

Answer Dialogue::answer_to(wire::AuthOutcome::Result result) {
    switch (result) {
        case wire::AuthOutcome::ACCEPTED:
            return accept(mail::login_accepted());
        case wire::AuthOutcome::REJECTED:
            return refuse(make_reply(535, {5, 7, 8}, "Authentication failed"), "authd");
        case wire::AuthOutcome::MALFORMED:
            return refuse(make_reply(501, {5, 5, 2}, "That is not how the mechanism goes"), "authd");
        case wire::AuthOutcome::LOCKED:
            return refuse(make_reply(454, {4, 7, 0}, "Too many failures; try again later"), "auth-locked");
        default:
            return refuse(make_reply(454, {4, 7, 0}, "Temporary authentication failure"), "authd");
    }
}

Answer Dialogue::login_refused(const Verdict& verdict) {
    login_.clear();
    return refuse(mail::as_login_refusal(*verdict.refusal), verdict.rule);
}

Answer Dialogue::authentication_cancelled() {
    return refuse(make_reply(501, {5, 7, 0}, "Authentication cancelled"), "cancelled");
}

Answer Dialogue::authentication_unreadable() {
    return refuse(make_reply(501, {5, 5, 2}, "That is not base64"), "syntax");
}

}  // namespace postrider::smtpd
