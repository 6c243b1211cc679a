#include "router/fate.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace postrider::router {

namespace {

/// A line, and what it is about in words, for the reason that an administrator reads.
struct FatefulLine {
    const PolicyRule* rule = nullptr;
    std::string_view kind;
    std::string value;
};

std::string reason_of(const FatefulLine& line, const ReplyFacts& facts) {
    if (!line.rule->reply.text.empty()) return line.rule->reply.filled(facts);
    return fmt::format("{} {}", line.kind, line.value.empty() ? "<>" : line.value);
}

/// The lines that count, in the order in which one of them gives the reason.
std::vector<FatefulLine> fateful_lines(const MessageLines& lines, bool spared, const Client& client,
                                       const ReplyFacts& facts, const Tables& tables) {
    const Trust trust = trust_of(client, lines.client);
    std::vector<FatefulLine> found;
    const auto add = [&found](bool counts, const PolicyRule* rule, std::string_view kind, std::string value) {
        if (counts && rule != nullptr) found.push_back({rule, kind, std::move(value)});
    };
    add(!spared, lines.client.net, "client", std::string(facts.client));
    if (!spared) {
        for (NameLine& line : name_lines(client, tables))
            add(true, line.rule, "client name", std::move(line.name));
    }
    add(!spared, lines.client.auth, "login", client.login);
    add(!spared, lines.client.helo, "greeting", client.helo);
    add(!spared && trust != Trust::All, lines.sender, "sender", std::string(facts.sender));
    add(trust == Trust::None, lines.recipient, "recipient", std::string(facts.recipient));
    return found;
}

}  // namespace

Trust trust_of(const Client& client, const ClientRules& rules) {
    if (client.local) return Trust::None;
    Trust trust = Trust::None;
    for (const PolicyRule* rule : {rules.net, rules.auth}) {
        if (rule != nullptr) trust = std::max(trust, rule->grants.trust);
    }
    return trust;
}

void decide_fate(const MessageLines& lines, bool spared, const Client& client, const ReplyFacts& facts,
                 const Tables& tables, Verdict& verdict) {
    for (const FatefulLine& line : fateful_lines(lines, spared, client, facts, tables)) {
        if (line.rule->verb == PolicyVerb::Quarantine) {
            verdict.fate = Verdict::Fate::Quarantine;
            verdict.fate_rule = line.rule->position.line_text();
            verdict.fate_reason = reason_of(line, facts);
            return;
        }
        // What one line throws away a later one may still keep back.
        if (line.rule->verb == PolicyVerb::Discard && verdict.fate == Verdict::Fate::Deliver) {
            verdict.fate = Verdict::Fate::Discard;
            verdict.fate_rule = line.rule->position.line_text();
        }
    }
}

}  // namespace postrider::router
