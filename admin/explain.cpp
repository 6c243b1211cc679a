#include "admin/explain.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <set>
#include <string_view>
#include <utility>

#include "admin/ask.h"
#include "libcommon/config/values.h"

namespace postrider::admin {

namespace {

using config::Listener;
using config::ListenerKind;

/// What the words of a case may be.
constexpr std::string_view kExpected = "expected client=, helo=, from=, login=, port=, tls= or size=";

/// The ports that are for submission wherever they are listened on (RFC 8314).
constexpr std::uint16_t kSubmissionPort = 587;
constexpr std::uint16_t kSubmissionsPort = 465;

/// How the kernel names a local user, as smtpd passes it on.
constexpr std::string_view kUidPrefix = "uid:";

Result<std::uint16_t> parse_port(const std::string& text) {
    const Result<std::uint64_t> port = config::parse_count(text);
    if (!port || *port == 0 || *port > std::numeric_limits<std::uint16_t>::max()) {
        return permanent("the port is a number from 1 to 65535");
    }
    return static_cast<std::uint16_t>(*port);
}

/// "[192.0.2.1]" is how SMTP writes an address; either form is taken.
std::string without_brackets(const std::string& address) {
    if (address.size() > 2 && address.front() == '[' && address.back() == ']') {
        return address.substr(1, address.size() - 2);
    }
    return address;
}

Result<void> take_word(std::string_view name, const std::string& value, ExplainCase& what) {
    if (name == "client") {
        what.client = without_brackets(value);
    } else if (name == "helo") {
        what.helo = value;
    } else if (name == "login") {
        what.login = value;
    } else if (name == "from") {
        what.sender = value == "<>" ? "" : value;
        what.has_sender = true;
    } else if (name == "port") {
        const Result<std::uint16_t> port = parse_port(value);
        if (!port) return failure(port.error());
        what.port = *port;
    } else if (name == "tls" && (value == "yes" || value == "no")) {
        what.encrypted = value == "yes";
    } else if (name == "tls") {
        return permanent("tls= is yes or no");
    } else if (name == "size") {
        const Result<std::uint64_t> size = config::parse_size(value);
        if (!size) return failure(size.error());
        what.size = *size;
    } else {
        return permanent(fmt::format("{}=: {}", name, kExpected));
    }
    return {};
}

const Listener* listener_of(const config::Settings& settings, std::uint16_t port) {
    const auto found = std::find_if(
        settings.listeners.begin(), settings.listeners.end(),
        [&](const Listener& one) { return one.kind != ListenerKind::Local && one.port == port; });
    return found == settings.listeners.end() ? nullptr : &*found;
}

/// The login of a local user as smtpd has it from the kernel: whoever calls, unless the case names him.
Result<std::string> local_login(const std::string& login) {
    if (login.starts_with(kUidPrefix)) return login;
    if (login.empty()) return fmt::format("{}{}", kUidPrefix, ::getuid());
    const Result<config::UserIds> user = config::resolve_user(login);
    if (!user) return failure(user.error());
    return fmt::format("{}{}", kUidPrefix, user->uid);
}

/// All frames of an answer, asked of the router.
Result<Answers<wire::RouterRequest, wire::RouterReply>> ask_router(const config::Settings& settings,
                                                                   wire::RouterRequest request) {
    return ask<wire::RouterReply>({"router.sock", "router"}, std::move(request),
                                  settings.limits.time(config::Limit::IpcTimeout));
}

}  // namespace

Result<ExplainCase> parse_explain_words(const std::string& recipient, const std::vector<std::string>& words) {
    ExplainCase what;
    what.recipient = recipient;
    std::set<std::string> seen;
    for (const std::string& word : words) {
        const std::size_t equals = word.find('=');
        if (equals == std::string::npos) return permanent(fmt::format("{}: {}", word, kExpected));
        const std::string name = word.substr(0, equals);
        if (!seen.insert(name).second) return permanent(fmt::format("{}= is there twice", name));
        const Result<void> taken = take_word(name, word.substr(equals + 1), what);
        if (!taken) return failure(taken.error());
    }
    return what;
}

Result<wire::ExplainQuestion> explain_question(const config::Settings& settings, const ExplainCase& what) {
    wire::ExplainQuestion question;
    question.set_recipient(what.recipient);
    question.set_sender(what.sender);
    question.set_has_sender(what.has_sender);
    question.set_size(what.size);
    wire::Client& client = *question.mutable_client();
    if (what.client.empty()) {
        const Result<std::string> login = local_login(what.login);
        if (!login) return failure(login.error());
        client.set_login(*login);
        client.set_kind("local");
        return question;
    }
    const Listener* listener = listener_of(settings, what.port);
    const bool usual = what.port == kSubmissionPort || what.port == kSubmissionsPort;
    const bool submission = listener == nullptr ? usual : listener->kind == ListenerKind::Submission;
    // Passwords travel encrypted, as a rule.
    const bool likely =
        !what.login.empty() || (listener == nullptr ? what.port == kSubmissionsPort
                                                    : listener->tls == config::ListenerTls::Implicit);
    client.set_address(what.client);
    client.set_helo(what.helo);
    client.set_login(what.login);
    client.set_port(what.port);
    client.set_kind(submission ? "submission" : "smtp");
    client.set_tls(what.encrypted.value_or(likely));
    return question;
}

Result<Explanation> explain(const config::Settings& settings, const ExplainCase& what) {
    Result<wire::ExplainQuestion> question = explain_question(settings, what);
    if (!question) return failure(std::move(question).error());
    wire::RouterRequest request;
    *request.mutable_explain() = std::move(*question);
    auto answers = ask_router(settings, std::move(request));
    if (!answers) return failure(answers.error());
    Explanation explanation;
    for (auto& answer : *answers) {
        wire::Explanation& part = *answer.reply.mutable_explanation();
        std::move(part.mutable_items()->begin(), part.mutable_items()->end(),
                  std::back_inserter(explanation.items));
        explanation.refused |= part.refused();
        explanation.deferred |= part.deferred();
    }
    return explanation;
}

Result<MxFindings> check_mx(const config::Settings& settings, const std::string& domain) {
    wire::RouterRequest request;
    request.mutable_mx_check()->set_domain(domain);
    auto answers = ask_router(settings, std::move(request));
    if (!answers) return failure(answers.error());
    MxFindings findings;
    for (const auto& answer : *answers) {
        const wire::Explanation& part = answer.reply.explanation();
        findings.lines.insert(findings.lines.end(), part.lines().begin(), part.lines().end());
        findings.wrong |= part.refused();
        findings.unclear |= part.deferred();
    }
    return findings;
}

}  // namespace postrider::admin
