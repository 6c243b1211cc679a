#include "router/policy.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "libcommon/mail/path.h"
#include "router/list_members.h"
#include "router/session_policy.h"

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

/// What a stage of the session answers where a line names no reply of its own.
struct UsualReply {
    std::uint32_t reject = 550;
    std::uint32_t defer = 450;
    std::string_view text;
};
/// A greeting is refused with 554 (RFC 5321, 3.1), and put off with 421.
constexpr UsualReply kRefusedClient{554, 421, "access denied"};
constexpr UsualReply kRefusedClientAtRcpt{550, 450, "access denied"};
constexpr UsualReply kRefusedGreeting{550, 450, "greeting refused"};
constexpr UsualReply kRefusedLogin{550, 450, "account refused"};
constexpr UsualReply kRefusedSender{550, 450, "sender refused"};
constexpr UsualReply kRefusedRecipient{550, 450, "recipient refused"};

/// What a line that refuses() answers.
Verdict refusal_of(const PolicyRule& rule, const UsualReply& usual, const ReplyFacts& facts) {
    const bool reject = rule.verb == PolicyVerb::Reject;
    const ReplyTemplate& reply = rule.reply;
    std::uint32_t code = reply.code;
    if (code == 0) code = reject ? usual.reject : usual.defer;
    std::string enhanced = reply.enhanced;
    if (enhanced.empty()) enhanced = reject ? "5.7.1" : "4.7.1";
    std::string text = reply.text.empty() ? std::string(usual.text) : reply.filled(facts);
    return refuse(code, std::move(enhanced), std::move(text), rule.position.line_text());
}

bool is_refused(const PolicyRule* rule) {
    return rule != nullptr && rule->refuses();
}

std::string address_text(const Client& client) {
    return client.address ? client.address->text() : std::string();
}

/// The line or built-in rule that lets a client send to any domain; empty if none does.
std::string relay_right(const Client& client, const Tables& tables) {
    if (client.local) return "local";
    const ClientRules rules = rules_for(client, tables);
    for (const PolicyRule* rule : {rules.net, rules.auth}) {
        if (rule != nullptr && rule->grants.relay) return rule->position.line_text();
    }
    return client.login.empty() ? std::string() : "authenticated";
}

const PolicyRule* sender_rule(const std::optional<Address>& sender, const Tables& tables) {
    return tables.policy.sender(sender ? &*sender : nullptr);
}

/// A sender as it is looked up; nothing for the null sender.
Result<std::optional<Address>> parse_sender(std::string_view sender, const Tables& tables) {
    if (sender.empty()) return std::optional<Address>();
    Result<Address> parsed = parse_address(sender);
    if (!parsed) return failure(std::move(parsed).error());
    return std::optional<Address>(tables.qualified(std::move(*parsed)));
}

/// What is demanded of a session before it may use the sender, by its line or the default one.
std::optional<Verdict> unmet_demand(const Client& client, const PolicyRule* rule, const Tables& tables) {
    if (client.local) return std::nullopt;
    const auto line_with = [&](PolicyItem item) {
        return rule != nullptr && rule->items.has(item) ? rule : tables.policy.fallback(PolicyKind::Sender);
    };
    const PolicyRule* tls = line_with(PolicyItem::Tls);
    if (tls != nullptr && tls->tuning.tls == TlsDemand::Require && !client.encrypted) {
        return refuse(530, "5.7.0", "this sender needs TLS", tls->position.line_text());
    }
    const PolicyRule* login = line_with(PolicyItem::AuthReq);
    if (login != nullptr && login->tuning.require_auth && client.login.empty()) {
        return refuse(530, "5.7.0", "this sender needs authentication", login->position.line_text());
    }
    return std::nullopt;
}

/// A domain that is not ours: does anything allow to pass its mail on, and is there a way?
Verdict decide_relay(const Client& client, const Address& recipient, const PolicyRule* rule,
                     const ReplyFacts& facts, const Tables& tables) {
    std::string right;
    if (const Rule* relayed = tables.relay_domains.find(recipient.domain)) {
        right = relayed->position.line_text();
    } else {
        right = relay_right(client, tables);
    }
    if (right.empty() && rule != nullptr && rule->grants.relay) right = rule->position.line_text();
    if (right.empty()) {
        const PolicyRule* fallback =
            rule == nullptr ? tables.policy.fallback(PolicyKind::Recipient) : nullptr;
        if (is_refused(fallback)) return refusal_of(*fallback, kRefusedRecipient, facts);
        return refuse(550, "5.7.1", "relaying denied",
                      rule == nullptr ? std::string(kDefaultRule) : rule->position.line_text());
    }
    const Route* route = tables.routes.find(recipient.domain);
    if (route != nullptr && route->kind == Route::Kind::None) {
        return refuse(550, "5.7.1", "no mail is sent to this domain", route->position.line_text());
    }
    if (route != nullptr && route->kind == Route::Kind::Error) {
        return refuse(route->code, route->enhanced, route->text, route->position.line_text());
    }
    return accept(std::move(right));
}

RecipientDecision decide_local(const Address& recipient, const Tables& tables, Facts& known,
                               std::vector<TraceLine>* trace) {
    Expansion expansion = expand(recipient, tables, known, trace);
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
    }
    return decision;
}

const PolicyRule* recipient_rule(const Address& recipient, const Tables& tables) {
    // What stands behind a delimiter is ours to read in our own domains only.
    const bool local = tables.local_domain(recipient.domain) != nullptr;
    return tables.policy.recipient(recipient,
                                   local ? without_detail(tables, folded(recipient.local)) : std::nullopt);
}

/// The verdict on a recipient with its line, whoever the sender is.
RecipientDecision decide_address(const Client& client, const Address& address, const PolicyRule* rule,
                                 const ReplyFacts& facts, const Tables& tables, Facts& known,
                                 std::vector<TraceLine>* trace) {
    RecipientDecision decision;
    if (is_refused(rule)) {
        decision.verdict = refusal_of(*rule, kRefusedRecipient, facts);
        return decision;
    }
    if (tables.local_domain(address.domain) != nullptr) return decide_local(address, tables, known, trace);
    decision.verdict = decide_relay(client, address, rule, facts, tables);
    return decision;
}

/// The refusal of the client's network or of the sender, as far as the recipient does not stand above it.
std::optional<Verdict> refused_before(const Client& client, const ReplyFacts& facts, bool exempt,
                                      const Tables& tables) {
    std::optional<Verdict> refused;
    const PolicyRule* network = client.address ? tables.policy.net(*client.address) : nullptr;
    if (is_refused(network)) refused = refusal_of(*network, kRefusedClientAtRcpt, facts);
    const auto holds = [&] { return refused && !(exempt && refused->action == Verdict::Action::Reject); };
    if (holds()) return refused;
    refused.reset();
    const Result<std::optional<Address>> sender = parse_sender(facts.sender, tables);
    const PolicyRule* rule = sender ? sender_rule(*sender, tables) : nullptr;
    if (is_refused(rule)) refused = refusal_of(*rule, kRefusedSender, facts);
    if (holds()) return refused;
    return std::nullopt;
}

}  // namespace

Verdict unclear_client() {
    return refuse(451, "4.3.0", "the client's address is not known", std::string(kDefaultRule));
}

bool may_relay(const Client& client, const Tables& tables) {
    return !relay_right(client, tables).empty();
}

ConnectDecision decide_connect(const Client& client, const Tables& tables) {
    ConnectDecision decision;
    const ClientRules rules = rules_for(client, tables);
    const std::string address = address_text(client);
    const ReplyFacts facts{address, {}, {}};
    decision.policy = session_policy(client, rules, tables);
    decision.ask_again_with_helo = client.helo.empty() && !client.local && tables.policy.asks_for_greeting();
    const bool exempted =
        is_refused(rules.net) && rules.net->verb == PolicyVerb::Reject && tables.policy.has_exemptions();
    if (is_refused(rules.net) && !exempted) {
        decision.verdict = refusal_of(*rules.net, kRefusedClient, facts);
    } else if (is_refused(rules.auth)) {
        decision.verdict = refusal_of(*rules.auth, kRefusedLogin, facts);
    } else if (is_refused(rules.helo)) {
        decision.verdict = refusal_of(*rules.helo, kRefusedGreeting, facts);
    } else {
        std::string rule = relay_right(client, tables);
        const std::vector<SessionLine> lines = session_lines(client, rules, tables);
        const bool named = !lines.empty() && !lines.front().is_default;
        if (rule.empty()) rule = named ? lines.front().rule->position.line_text() : std::string(kDefaultRule);
        decision.verdict = accept(std::move(rule));
    }
    return decision;
}

namespace {

/// The refusal of a sender that is not the login's own.
std::optional<Verdict> foreign_sender(const Client& client, const Address& parsed, std::string_view sender,
                                      const Tables& tables, Facts& known) {
    if (!tables.sender_login_check || client.login.empty()) return std::nullopt;
    LocalClaim claim = LocalClaim::Good;
    if (client.local) {
        claim = local_claim(parsed, client.login, tables, known);
    } else if (client.submission && !belongs_to_login(parsed, client.login, tables)) {
        claim = LocalClaim::Bad;
    }
    if (claim == LocalClaim::Good) return std::nullopt;
    if (claim == LocalClaim::Unclear) {
        return refuse(451, "4.3.0", "the user database does not answer", "sender_login");
    }
    return refuse(553, "5.7.1", fmt::format("sender {} does not belong to login {}", sender, client.login),
                  "sender_login");
}

}  // namespace

Verdict decide_sender(const Client& client, std::string_view sender, const Tables& tables, Facts& known) {
    const Result<std::optional<Address>> parsed = parse_sender(sender, tables);
    if (!parsed) return refuse(553, "5.1.7", "the sender is no valid address", std::string(kDefaultRule));
    const PolicyRule* rule = sender_rule(*parsed, tables);
    const bool exempted =
        is_refused(rule) && rule->verb == PolicyVerb::Reject && tables.policy.has_exemptions();
    if (is_refused(rule) && !exempted) {
        const std::string address = address_text(client);
        return refusal_of(*rule, kRefusedSender, {address, sender, {}});
    }
    if (std::optional<Verdict> unmet = unmet_demand(client, rule, tables)) return std::move(*unmet);
    if (*parsed) {
        std::optional<Verdict> claimed = foreign_sender(client, **parsed, sender, tables, known);
        if (claimed) return std::move(*claimed);
    }
    return accept(rule == nullptr ? std::string(kDefaultRule) : rule->position.line_text());
}

RecipientDecision decide_recipient(const Client& client, std::string_view sender, std::string_view recipient,
                                   const Tables& tables, Facts& known, std::vector<TraceLine>* trace) {
    RecipientDecision decision;
    Result<Address> parsed = parse_address(recipient);
    if (!parsed) {
        decision.verdict =
            refuse(553, "5.1.3", "the recipient is no valid address", std::string(kDefaultRule));
        return decision;
    }
    const Address address = tables.qualified(std::move(*parsed));
    const PolicyRule* rule = recipient_rule(address, tables);
    const std::string client_address = address_text(client);
    const ReplyFacts facts{client_address, sender, recipient};
    // A refusal of the recipient stands above all others, so theirs is not asked for.
    if (!is_refused(rule)) {
        const bool local = tables.local_domain(address.domain) != nullptr;
        const bool exempt = local && rule != nullptr && rule->verb == PolicyVerb::Accept;
        if (std::optional<Verdict> refused = refused_before(client, facts, exempt, tables)) {
            decision.verdict = std::move(*refused);
            return decision;
        }
    }
    return decide_address(client, address, rule, facts, tables, known, trace);
}

VerifyDecision decide_verify(const Client& client, std::string_view address, bool expand,
                             const Tables& tables, Facts& known) {
    VerifyDecision decision;
    const Result<mail::ParsedPath> parsed = mail::parse_path(address, {});
    if (!parsed || parsed->path.is_null() || !parsed->rest.empty()) {
        decision.verdict = refuse(553, "5.1.3", "that is no valid address", std::string(kDefaultRule));
        return decision;
    }
    const mail::Path& path = parsed->path;
    const Address asked =
        tables.qualified({path.local(), path.domain() ? path.domain()->name() : std::string()});
    const std::string client_address = address_text(client);
    const std::string text = asked.text();
    RecipientDecision found = decide_address(client, asked, recipient_rule(asked, tables),
                                             {client_address, {}, text}, tables, known, nullptr);
    decision.verdict = std::move(found.verdict);
    const bool exists = decision.verdict.action == Verdict::Action::Accept;
    if (!exists || tables.local_domain(asked.domain) == nullptr) return decision;
    std::optional<std::vector<std::string>> members;
    if (expand) members = list_members(asked, tables);
    decision.addresses = members ? std::move(*members) : std::vector<std::string>{text};
    return decision;
}

}  // namespace postrider::router
