#include "router/policy.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "libcommon/mail/path.h"
#include "router/dns_policy.h"
#include "router/fate.h"
#include "router/list_members.h"
#include "router/session_policy.h"
#include "router/way_out.h"

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

Verdict refusal_of(DnsRefusal refused) {
    return refuse(refused.code, std::string(refused.enhanced), std::move(refused.text),
                  refused.rule->position.line_text());
}

bool is_refused(const PolicyRule* rule) {
    return rule != nullptr && rule->refuses();
}

std::string address_text(const Client& client) {
    return client.address ? client.address->text() : std::string();
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

/// The line about any of a client's reverse names that refuses it, or nullptr.
const PolicyRule* refusing_name(const Client& client, const Tables& tables) {
    for (const NameLine& line : name_lines(client, tables)) {
        if (is_refused(line.rule)) return line.rule;
    }
    return nullptr;
}

/// The line that takes the client's right to relay away from the sender; nullptr if there is none.
const PolicyRule* no_relay_line(const std::optional<Address>& sender, const Tables& tables) {
    const PolicyRule* rule = sender_rule(sender, tables);
    if (rule != nullptr && rule->tuning.no_relay) return rule;
    const PolicyRule* fallback = tables.policy.fallback(PolicyKind::Sender);
    return fallback != nullptr && fallback->tuning.no_relay ? fallback : nullptr;
}

/// A domain that is not ours: does anything allow to pass its mail on, and is there a way?
/// `restricted` is no_relay_line().
Verdict decide_relay(const Client& client, const Address& recipient, const PolicyRule* rule,
                     const PolicyRule* restricted, const ReplyFacts& facts, const Tables& tables,
                     Facts& known) {
    std::string right;
    bool right_of_client = false;
    const Route* route = tables.routes.find(recipient.domain);
    const Backup* backup = tables.backups.find(recipient.domain);
    if (const Rule* relayed = tables.relay_domains.find(recipient.domain)) {
        right = relayed->position.line_text();
    } else if (backup != nullptr && backup->enabled) {
        right = backup->position.line_text();
    } else if (restricted == nullptr) {
        right = relay_right(client, tables);
        right_of_client = !right.empty();
    }
    if (right.empty() && rule != nullptr && rule->grants.relay) right = rule->position.line_text();
    if (right.empty() && restricted != nullptr && may_relay(client, tables)) {
        return refuse(550, "5.7.1", "relaying denied for this sender", restricted->position.line_text());
    }
    if (right.empty()) {
        MxDecision by_mx = decide_by_mx(recipient.domain, rule, tables, known);
        if (by_mx.refusal) return refusal_of(std::move(*by_mx.refusal));
        if (by_mx.admitted_by != nullptr) {
            right = by_mx.admitted_by->position.line_text();
            route = find_way_out(recipient, tables, known).route;
        }
    }
    if (right.empty()) {
        const PolicyRule* fallback =
            rule == nullptr ? tables.policy.fallback(PolicyKind::Recipient) : nullptr;
        if (is_refused(fallback)) return refusal_of(*fallback, kRefusedRecipient, facts);
        std::string denied(kDefaultRule);
        if (backup != nullptr) denied = backup->position.line_text();
        if (rule != nullptr) denied = rule->position.line_text();
        return refuse(550, "5.7.1", "relaying denied", std::move(denied));
    }
    // What a redirect line sends elsewhere does not take the route of its domain.
    if (!redirects_of(tables, recipient, recipient.domain).empty()) return accept(std::move(right));
    if (route != nullptr && route->kind == Route::Kind::None) {
        return refuse(550, "5.7.1", "no mail is sent to this domain", route->position.line_text());
    }
    if (route != nullptr && route->kind == Route::Kind::Error) {
        return refuse(route->code, route->enhanced, route->text, route->position.line_text());
    }
    if (right_of_client && (route == nullptr || route->kind == Route::Kind::Mx)) {
        std::optional<DnsRefusal> unknown = unknown_recipient_domain(client, recipient.domain, tables, known);
        if (unknown) return refusal_of(std::move(*unknown));
    }
    return accept(std::move(right));
}

/// What the expansion of a recipient says, whose mail may come in as far as others are concerned.
RecipientDecision decide_expanded(const Address& recipient, const Tables& tables, Facts& known,
                                  std::vector<TraceLine>* trace) {
    Expansion expansion = expand(recipient, tables, known, trace);
    RecipientDecision decision;
    std::string rule = expansion.rule.line_text();
    switch (expansion.outcome) {
        case Expansion::Outcome::Delivered:
            decision.deliveries = expansion.leaves.size();
            if (decision.deliveries == 1 && expansion.leaves.front().kind == Leaf::Kind::Mailbox)
                decision.mailbox = std::move(expansion.leaves.front().path);
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

/// The verdict on a recipient with its line, whoever the sender is.
RecipientDecision decide_address(const Client& client, const Address& address, const PolicyRule* rule,
                                 const ReplyFacts& facts, const Tables& tables, Facts& known) {
    RecipientDecision decision;
    if (is_refused(rule)) {
        decision.verdict = refusal_of(*rule, kRefusedRecipient, facts);
        return decision;
    }
    if (tables.local_domain(address.domain) != nullptr)
        return decide_expanded(address, tables, known, nullptr);
    decision.verdict = decide_relay(client, address, rule, nullptr, facts, tables, known);
    const bool accepted = decision.verdict.action == Verdict::Action::Accept;
    if (accepted && !redirects_of(tables, address, address.domain).empty())
        return decide_expanded(address, tables, known, nullptr);
    return decision;
}

/// The refusal of the client's network or of the sender, as far as the recipient does not stand above it.
std::optional<Verdict> refused_before(const Client& client, const MessageLines& lines, Trust trust,
                                      const ReplyFacts& facts, bool exempt, const Tables& tables) {
    std::optional<Verdict> refused;
    const PolicyRule* network = lines.client.net;
    if (is_refused(network)) refused = refusal_of(*network, kRefusedClientAtRcpt, facts);
    const PolicyRule* name = refusing_name(client, tables);
    if (!refused && name != nullptr) refused = refusal_of(*name, kRefusedClientAtRcpt, facts);
    const auto holds = [&] { return refused && !(exempt && refused->action == Verdict::Action::Reject); };
    if (holds()) return refused;
    refused.reset();
    if (trust != Trust::All && is_refused(lines.sender))
        refused = refusal_of(*lines.sender, kRefusedSender, facts);
    if (holds()) return refused;
    return std::nullopt;
}

/// The line by which a recipient of a local domain is taken without looking whether there is such a user, or
/// nullptr: what his line keeps back or throws away goes to nobody, and a line can say that he need not be
/// verified.
const PolicyRule* unseen_line(const PolicyRule* rule, Trust trust, const Tables& tables) {
    const bool trap =
        rule != nullptr && (rule->verb == PolicyVerb::Quarantine || rule->verb == PolicyVerb::Discard);
    if (trap && trust == Trust::None) return rule;
    if (rule != nullptr && rule->tuning.verify) return *rule->tuning.verify ? nullptr : rule;
    const PolicyRule* fallback = tables.policy.fallback(PolicyKind::Recipient);
    return fallback != nullptr && !fallback->tuning.verify.value_or(true) ? fallback : nullptr;
}

/// The size that a recipient's line, or the default one, limits his messages to; 0: none.
std::uint64_t size_limit(const PolicyRule* rule, const Tables& tables) {
    if (rule != nullptr && rule->tuning.max_message_size) return *rule->tuning.max_message_size;
    const PolicyRule* fallback = tables.policy.fallback(PolicyKind::Recipient);
    return fallback != nullptr ? fallback->tuning.max_message_size.value_or(0) : 0;
}

}  // namespace

Verdict unclear_client() {
    return refuse(451, "4.3.0", "the client's address is not known", std::string(kDefaultRule));
}

std::string relay_right(const Client& client, const Tables& tables) {
    if (client.local) return "local";
    const ClientRules rules = rules_for(client, tables);
    for (const PolicyRule* rule : {rules.net, rules.rdns, rules.auth}) {
        if (rule != nullptr && rule->grants.relays()) return rule->position.line_text();
    }
    return client.login.empty() ? std::string() : "authenticated";
}

bool may_relay(const Client& client, const Tables& tables) {
    return !relay_right(client, tables).empty();
}

const PolicyRule* recipient_line(const Address& recipient, const Tables& tables) {
    const LocalDomain* domain = tables.local_domain(recipient.domain);
    // What stands behind a delimiter is ours to read in our own domains only.
    if (domain == nullptr) return tables.policy.recipient(recipient, std::nullopt);
    const std::optional<std::string> user = without_detail(tables, folded(recipient.local));
    const PolicyRule* rule = tables.policy.recipient(recipient, user);
    if (domain->name == recipient.domain) return rule;
    // What is said of a domain holds for its further names, too: always if it refuses, and else where nothing
    // is said of the name.
    const PolicyRule* canonical = tables.policy.recipient({recipient.local, domain->name}, user);
    return rule == nullptr || is_refused(canonical) ? canonical : rule;
}

ConnectDecision decide_connect(const Client& client, const Tables& tables, Facts& known) {
    ConnectDecision decision;
    const ClientRules rules = rules_for(client, tables);
    const std::string address = address_text(client);
    const ReplyFacts facts{address, {}, {}};
    decision.policy = session_policy(client, rules, tables);
    decision.ask_again_with_helo = client.helo.empty() && !client.local && tables.policy.asks_for_greeting();
    const auto exempted = [&tables](const PolicyRule& rule) {
        return rule.verb == PolicyVerb::Reject && tables.policy.has_exemptions();
    };
    const PolicyRule* name = refusing_name(client, tables);
    std::optional<DnsRefusal> listed;
    if (client.begins_session && !may_relay(client, tables)) {
        listed = listed_client(client, BlockStage::Connect, tables, known);
    }
    if (is_refused(rules.net) && !exempted(*rules.net)) {
        decision.verdict = refusal_of(*rules.net, kRefusedClient, facts);
    } else if (name != nullptr && !exempted(*name)) {
        decision.verdict = refusal_of(*name, kRefusedClient, facts);
    } else if (listed) {
        decision.verdict = refusal_of(std::move(*listed));
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
    const bool trusted = trust_of(client, rules_for(client, tables)) == Trust::All;
    const PolicyRule* rule = trusted ? nullptr : sender_rule(*parsed, tables);
    const bool exempted =
        is_refused(rule) && rule->verb == PolicyVerb::Reject && tables.policy.has_exemptions();
    if (is_refused(rule) && !exempted) {
        const std::string address = address_text(client);
        return refusal_of(*rule, kRefusedSender, {address, sender, {}});
    }
    if (!trusted) {
        if (std::optional<Verdict> unmet = unmet_demand(client, rule, tables)) return std::move(*unmet);
    }
    if (*parsed) {
        std::optional<Verdict> claimed = foreign_sender(client, **parsed, sender, tables, known);
        if (claimed) return std::move(*claimed);
        std::optional<DnsRefusal> unknown = unknown_sender_domain(client, **parsed, rule, tables, known);
        if (unknown) return refusal_of(std::move(*unknown));
    }
    return accept(rule == nullptr ? std::string(kDefaultRule) : rule->position.line_text());
}

bool is_stranger(const Client& client, std::string_view sender, const Tables& tables) {
    const Result<std::optional<Address>> parsed = parse_sender(sender, tables);
    if (!parsed || !*parsed) return false;
    const std::string& domain = (*parsed)->domain;
    return tables.local_domain(domain) == nullptr && tables.relay_domains.find(domain) == nullptr &&
           tables.backups.find(domain) == nullptr && !may_relay(client, tables);
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
    const std::string client_address = address_text(client);
    const ReplyFacts facts{client_address, sender, recipient};
    const Result<std::optional<Address>> from = parse_sender(sender, tables);
    MessageLines lines{rules_for(client, tables), from ? sender_rule(*from, tables) : nullptr,
                       recipient_line(address, tables)};
    const Trust trust = trust_of(client, lines.client);
    const PolicyRule* rule = lines.recipient;
    const bool local = tables.local_domain(address.domain) != nullptr;
    const bool exempt = local && rule != nullptr && rule->verb == PolicyVerb::Accept;
    if (is_refused(rule) && trust == Trust::None) {
        // A refusal of the recipient stands above all others, so theirs is not asked for.
        decision.verdict = refusal_of(*rule, kRefusedRecipient, facts);
        return decision;
    }
    if (std::optional<Verdict> refused = refused_before(client, lines, trust, facts, exempt, tables)) {
        decision.verdict = std::move(*refused);
        return decision;
    }
    const PolicyRule* unseen = local ? unseen_line(rule, trust, tables) : nullptr;
    if (unseen != nullptr) {
        decision.verdict = accept(unseen->position.line_text());
        decision.deliveries = 1;
    } else if (local) {
        decision = decide_expanded(address, tables, known, trace);
    } else {
        const PolicyRule* restricted = trust == Trust::All || !from ? nullptr : no_relay_line(*from, tables);
        decision.verdict = decide_relay(client, address, rule, restricted, facts, tables, known);
        const bool relayed = decision.verdict.action == Verdict::Action::Accept;
        if (relayed && !redirects_of(tables, address, address.domain).empty())
            decision = decide_expanded(address, tables, known, trace);
    }
    if (decision.verdict.action != Verdict::Action::Accept) return decision;
    if (counts_block_lists(address, rule, tables) && !may_relay(client, tables)) {
        std::optional<DnsRefusal> listed = listed_client(client, BlockStage::Recipient, tables, known);
        if (listed) {
            decision.verdict = refusal_of(std::move(*listed));
            return decision;
        }
    }
    decide_fate(lines, exempt, client, facts, tables, decision.verdict);
    decision.verdict.max_message_size = size_limit(rule, tables);
    return decision;
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
    RecipientDecision found = decide_address(client, asked, recipient_line(asked, tables),
                                             {client_address, {}, text}, tables, known);
    decision.verdict = std::move(found.verdict);
    const bool exists = decision.verdict.action == Verdict::Action::Accept;
    if (!exists || tables.local_domain(asked.domain) == nullptr) return decision;
    std::optional<std::vector<std::string>> members;
    if (expand) members = list_members(asked, tables);
    decision.addresses = members ? std::move(*members) : std::vector<std::string>{text};
    return decision;
}

}  // namespace postrider::router
