#include "admin/explain.h"

#include <fmt/format.h>

#include <limits>
#include <string_view>
#include <utility>

#include "admin/ask.h"
#include "libcommon/config/values.h"
#include "libcommon/ipc/router.pb.h"

namespace postrider::admin {

namespace {

/// What the words of a case may be.
constexpr std::string_view kExpected = "expected client=, helo=, from=, login= or port=";

/// The ports that are for submission wherever they are listened on (RFC 8314).
constexpr std::uint16_t kSubmissionPort = 587;
constexpr std::uint16_t kSubmissionsPort = 465;

Result<std::uint16_t> parse_port(const std::string& text) {
    const Result<std::uint64_t> port = config::parse_count(text);
    if (!port || *port == 0 || *port > std::numeric_limits<std::uint16_t>::max()) {
        return permanent("the port is a number from 1 to 65535");
    }
    return static_cast<std::uint16_t>(*port);
}

std::string_view kind_of(const ExplainCase& what) {
    if (what.client.empty()) return "local";
    return what.port == kSubmissionPort || what.port == kSubmissionsPort ? "submission" : "smtp";
}

/// "[192.0.2.1]" is how SMTP writes an address; either form is taken.
std::string without_brackets(const std::string& address) {
    if (address.size() > 2 && address.front() == '[' && address.back() == ']') {
        return address.substr(1, address.size() - 2);
    }
    return address;
}

/// What the router answers to a question that asks why.
Result<Explanation> explanation_of(const config::Settings& settings, wire::RouterRequest request) {
    auto answers = ask<wire::RouterReply>({"router.sock", "router"}, std::move(request),
                                          settings.limits.time(config::Limit::IpcTimeout));
    if (!answers) return failure(answers.error());
    Explanation explanation;
    for (const auto& answer : *answers) {
        const auto& found = answer.reply.explanation();
        explanation.lines.insert(explanation.lines.end(), found.lines().begin(), found.lines().end());
        explanation.refused |= found.refused();
        explanation.deferred |= found.deferred();
    }
    return explanation;
}

}  // namespace

Result<ExplainCase> parse_explain_words(const std::string& recipient, const std::vector<std::string>& words) {
    ExplainCase what;
    what.recipient = recipient;
    for (const std::string& word : words) {
        const std::size_t equals = word.find('=');
        const std::string name = word.substr(0, equals);
        const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
        if (equals == std::string::npos) {
            return permanent(fmt::format("{}: {}", word, kExpected));
        }
        if (name == "client") {
            what.client = without_brackets(value);
        } else if (name == "helo") {
            what.helo = value;
        } else if (name == "login") {
            what.login = value;
        } else if (name == "port") {
            const Result<std::uint16_t> port = parse_port(value);
            if (!port) return failure(port.error());
            what.port = *port;
        } else if (name == "from") {
            what.sender = value == "<>" ? "" : value;
            what.has_sender = true;
        } else {
            return permanent(fmt::format("{}: {}", word, kExpected));
        }
    }
    return what;
}

Result<Explanation> explain(const config::Settings& settings, const ExplainCase& what) {
    wire::RouterRequest request;
    auto* question = request.mutable_explain();
    question->set_recipient(what.recipient);
    question->set_sender(what.sender);
    question->set_has_sender(what.has_sender);
    auto* client = question->mutable_client();
    client->set_address(what.client);
    client->set_helo(what.helo);
    client->set_login(what.login);
    client->set_port(what.port);
    client->set_kind(std::string(kind_of(what)));

    return explanation_of(settings, std::move(request));
}

Result<Explanation> check_mx(const config::Settings& settings, const std::string& domain) {
    wire::RouterRequest request;
    request.mutable_mx_check()->set_domain(domain);
    return explanation_of(settings, std::move(request));
}

}  // namespace postrider::admin
