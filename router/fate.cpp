#include "router/fate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

namespace postrider::router {

namespace {

/// A line, and what it is about in words, for the reason that an administrator reads.
struct FatefulLine {
    const PolicyRule* rule = nullptr;
    std::string_view kind;
    std::string_view value;
};

std::string reason_of(const FatefulLine& line, const ReplyFacts& facts) {
    if (!line.rule->reply.text.empty()) return line.rule->reply.filled(facts);
    return fmt::format("{} {}", line.kind, line.value.empty() ? "<>" : line.value);
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
                 Verdict& verdict) {
    const Trust trust = trust_of(client, lines.client);
    const std::array<FatefulLine, 5> all{{
        {spared ? nullptr : lines.client.net, "client", facts.client},
        {spared ? nullptr : lines.client.auth, "login", client.login},
        {spared ? nullptr : lines.client.helo, "greeting", client.helo},
        {spared || trust == Trust::All ? nullptr : lines.sender, "sender", facts.sender},
        {trust == Trust::None ? lines.recipient : nullptr, "recipient", facts.recipient},
    }};
    for (const FatefulLine& line : all) {
        if (line.rule == nullptr) continue;
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
