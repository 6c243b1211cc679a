#include "router/policy.h"

#include <utility>

namespace postrider::router {

namespace {

constexpr std::string_view kDefaultRule = "default";

Verdict accept(std::string rule) {
    Verdict verdict;
    verdict.rule = std::move(rule);
    return verdict;
}

Verdict refuse(std::uint32_t code, std::string enhanced, std::string text, std::string rule) {
    constexpr std::uint32_t kFirstPermanent = 500;
    Verdict verdict;
    verdict.action = code < kFirstPermanent ? Verdict::Action::Defer : Verdict::Action::Reject;
    verdict.code = code;
    verdict.enhanced = std::move(enhanced);
    verdict.text = std::move(text);
    verdict.rule = std::move(rule);
    return verdict;
}

/// The line or built-in rule that lets a client send to any domain; empty if none does.
std::string relay_right(const Client& client, const Tables& tables) {
    if (client.local) return "local";
    if (!client.login.empty()) return "authenticated";
    if (!client.address) return {};
    const Rule* network = tables.relay_networks.find(*client.address);
    return network == nullptr ? std::string() : network->position.line_text();
}

/// A domain that is not ours: does anything allow to pass its mail on, and is there a way?
Verdict decide_relay(const Client& client, const Address& recipient, const Tables& tables) {
    std::string rule;
    if (const Rule* relayed = tables.relay_domains.find(recipient.domain)) {
        rule = relayed->position.line_text();
    } else {
        rule = relay_right(client, tables);
    }
    if (rule.empty()) return refuse(550, "5.7.1", "relaying denied", std::string(kDefaultRule));
    const Route* route = tables.routes.find(recipient.domain);
    if (route != nullptr && route->kind == Route::Kind::None) {
        return refuse(550, "5.7.1", "no mail is sent to this domain", route->position.line_text());
    }
    if (route != nullptr && route->kind == Route::Kind::Error) {
        return refuse(route->code, route->enhanced, route->text, route->position.line_text());
    }
    return accept(std::move(rule));
}

RecipientDecision decide_local(const Address& recipient, const Tables& tables, UserLookup& users,
                               std::vector<TraceLine>* trace) {
    Expansion expansion = expand(recipient, tables, users, trace);
    RecipientDecision decision;
    std::string rule = expansion.rule.line_text();
    switch (expansion.outcome) {
        case Expansion::Outcome::Delivered:
            decision.deliveries = expansion.leaves.size();
            decision.verdict = accept(std::move(rule));
            break;
        case Expansion::Outcome::Held:
            decision.deliveries = 1;
            decision.verdict = accept(std::move(rule));
            break;
        case Expansion::Outcome::Refused:
            decision.verdict =
                refuse(550, std::move(expansion.enhanced), std::move(expansion.text), std::move(rule));
            break;
        case Expansion::Outcome::Deferred:
            decision.verdict =
                refuse(451, std::move(expansion.enhanced), std::move(expansion.text), std::move(rule));
            break;
        case Expansion::Outcome::Pending:
            decision.pending = std::move(expansion.pending);
            break;
    }
    return decision;
}

}  // namespace

Verdict unclear_client() {
    return refuse(451, "4.3.0", "the client's address is not known", std::string(kDefaultRule));
}

ConnectDecision decide_connect(const Client& client, const Tables& tables) {
    std::string rule = relay_right(client, tables);
    if (rule.empty()) return {accept(std::string(kDefaultRule)), false};
    return {accept(std::move(rule)), true};
}

Verdict decide_sender(const Client& /*client*/, std::string_view sender, const Tables& /*tables*/) {
    if (!sender.empty() && !parse_address(sender)) {
        return refuse(553, "5.1.7", "the sender is no valid address", std::string(kDefaultRule));
    }
    return accept(std::string(kDefaultRule));
}

RecipientDecision decide_recipient(const Client& client, std::string_view recipient, const Tables& tables,
                                   UserLookup& users, std::vector<TraceLine>* trace) {
    Result<Address> parsed = parse_address(recipient);
    if (!parsed) {
        RecipientDecision decision;
        decision.verdict =
            refuse(553, "5.1.3", "the recipient is no valid address", std::string(kDefaultRule));
        return decision;
    }
    const Address address = tables.qualified(std::move(*parsed));
    if (tables.local_domain(address.domain) != nullptr) return decide_local(address, tables, users, trace);
    RecipientDecision decision;
    decision.verdict = decide_relay(client, address, tables);
    return decision;
}

}  // namespace postrider::router
