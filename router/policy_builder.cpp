#include "router/policy_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "router/tables.h"

namespace postrider::router {

namespace {

using config::Directive;
using config::Word;

/// Classes inside each other. More than a handful is a mistake, and the number bounds a recursion.
constexpr std::size_t kMaximumClassDepth = 20;

/// Larger than any network that is handed out to one organisation today.
constexpr unsigned kWidestV4 = 8;
constexpr unsigned kWidestV6 = 20;

class PolicyBuilder {
  public:
    PolicyBuilder(const config::Settings& settings, config::Errors& errors)
        : settings_(settings), errors_(errors) {}

    BuiltPolicy run() {
        collect_classes();
        for (const auto& [name, line] : class_lines_)
            static_cast<void>(class_rule(name, 0));
        for (const Directive* line : settings_.table("default"))
            add_default(*line);
        for (std::size_t i = 0; i < kPolicyKinds; ++i) {
            const auto kind = static_cast<PolicyKind>(i);
            for (const Directive* line : settings_.table(kind_name(kind)))
                add_line(kind, *line);
        }
        return std::move(built_);
    }

  private:
    void collect_classes();
    const PolicyRule* class_rule(std::string_view name, std::size_t depth);
    PolicyRule with_classes(ParsedItems parsed, std::size_t depth);
    [[nodiscard]] PolicyRule rule_of(PolicyKind kind, const Directive& line);
    void add_line(PolicyKind kind, const Directive& line);
    void add_default(const Directive& line);
    void check_not_empty(const Directive& line);
    void check_kind(PolicyKind kind, const PolicyRule& rule);
    void check_recipient_key(const Word& key, const PolicyRule& rule);
    void look_for_open_relay(PolicyKind kind, const Word& key, const PolicyRule& rule);

    const config::Settings& settings_;
    config::Errors& errors_;
    BuiltPolicy built_;
    std::map<std::string, const Directive*, std::less<>> class_lines_;
    std::map<std::string, std::optional<PolicyRule>, std::less<>> classes_;  // empty while being built
};

void PolicyBuilder::collect_classes() {
    for (const Directive* line : settings_.table("class")) {
        const Word& name = line->words.front();
        const auto [earlier, added] = class_lines_.try_emplace(name.text, line);
        if (added) continue;
        errors_.add(name.position, fmt::format("class {} is there already, at {}", name.text,
                                               earlier->second->position.line_text()));
    }
}

/// The rule of a class whose line exists; nullptr if it leads back to itself.
const PolicyRule* PolicyBuilder::class_rule(std::string_view name, std::size_t depth) {
    const auto known = classes_.find(name);
    if (known != classes_.end()) return known->second ? &*known->second : nullptr;
    if (depth > kMaximumClassDepth) return nullptr;
    classes_.emplace(std::string(name), std::nullopt);
    const Directive& line = *class_lines_.find(name)->second;
    check_not_empty(line);
    PolicyRule rule = with_classes(parse_policy_items(line, 1, errors_), depth);
    std::optional<PolicyRule>& place = classes_.find(name)->second;
    place = std::move(rule);
    return &*place;
}

PolicyRule PolicyBuilder::with_classes(ParsedItems parsed, std::size_t depth) {
    for (const Word& use : parsed.uses) {
        if (class_lines_.find(use.text) == class_lines_.end()) {
            std::vector<std::string_view> names;
            for (const auto& [name, line] : class_lines_)
                names.emplace_back(name);
            const std::string_view best = config::nearest(use.text, names);
            errors_.add(use.position, best.empty() ? fmt::format("there is no class {}", use.text)
                                                   : fmt::format("there is no class {}; did you mean \"{}\"?",
                                                                 use.text, best));
            continue;
        }
        const PolicyRule* used = class_rule(use.text, depth + 1);
        if (used == nullptr) {
            errors_.add(use.position, fmt::format("class {} leads back to itself, or too deep", use.text));
        } else {
            parsed.rule.add_class(*used);
        }
    }
    return std::move(parsed.rule);
}

void PolicyBuilder::check_not_empty(const Directive& line) {
    if (line.words.size() > 1 || !line.options.empty()) return;
    errors_.add(line.position, fmt::format("the line says nothing about {}", line.words.front().text));
}

/// Items that a class brings along are checked here, too; those of the line itself were already, where the
/// row of its directive names them, but `class` and `default` lines take the items of all kinds.
void PolicyBuilder::check_kind(PolicyKind kind, const PolicyRule& rule) {
    for (std::size_t i = 0; i < kPolicyItems; ++i) {
        const PolicyItemRow& row = policy_item_row(static_cast<PolicyItem>(i));
        if (!rule.items.has(row.item) || row.holds_for(kind)) continue;
        errors_.add(rule.position,
                    fmt::format("{} is not for {} lines, nor for their classes", row.name, kind_name(kind)));
    }
    if (kind == PolicyKind::Recipient && rule.tuning.block_lists) {
        errors_.add(rule.position, "the dnsbl= of rcpt lines is use or ignore");
    }
    if (kind != PolicyKind::Recipient && rule.tuning.uses_block_lists) {
        errors_.add(rule.position, "dnsbl=use and dnsbl=ignore are for rcpt lines");
    }
}

PolicyRule PolicyBuilder::rule_of(PolicyKind kind, const Directive& line) {
    check_not_empty(line);
    PolicyRule rule = with_classes(parse_policy_items(line, 1, errors_), 0);
    check_kind(kind, rule);
    return rule;
}

void PolicyBuilder::check_recipient_key(const Word& key, const PolicyRule& rule) {
    const Result<AddressKey> parsed = AddressKey::parse(key.text);
    if (!parsed) return;  // add() says so
    const bool exact =
        parsed->kind == AddressKey::Kind::Domain && parsed->pattern.kind == DomainPattern::Kind::Exact;
    if (parsed->kind == AddressKey::Kind::Null) errors_.add(key.position, "nobody sends to <>");
    if (parsed->kind == AddressKey::Kind::Local && rule.grants.relay) {
        errors_.add(key.position,
                    fmt::format("everybody could send to {} of every domain: an open relay", key.text));
    }
    if (!rule.grants.local) return;
    if (exact) {
        built_.local_domains.push_back({parsed->pattern.domain, key.position});
    } else {
        errors_.add(key.position, "local needs the name of one domain");
    }
}

void PolicyBuilder::look_for_open_relay(PolicyKind kind, const Word& key, const PolicyRule& rule) {
    if (!rule.grants.relays()) return;
    if (kind == PolicyKind::Rdns) {
        const Result<DomainPattern> name = DomainPattern::parse(key.text);
        if (name && name->domain.find('.') == std::string::npos)
            errors_.add(key.position,
                        fmt::format("every client below {} could send mail anywhere", key.text));
    }
    const auto add_danger = [&](std::string text) {
        built_.dangers.push_back(fmt::format("{}: {}", rule.position.line_text(), text));
    };
    if (kind == PolicyKind::Net) {
        const Result<config::Network> network = config::Network::parse(key.text);
        if (network && network->prefix() == 0) {
            errors_.add(key.position, fmt::format("{} {} is an open relay", network->text(),
                                                  rule.grants.relay ? "relay" : "trust="));
        } else if (network && network->prefix() < (network->address().is_v4() ? kWidestV4 : kWidestV6)) {
            add_danger(fmt::format("{} may send mail anywhere: an open relay", network->text()));
        }
    } else if (kind == PolicyKind::Recipient) {
        const Result<AddressKey> parsed = AddressKey::parse(key.text);
        if (parsed && parsed->kind == AddressKey::Kind::Domain &&
            parsed->pattern.kind != DomainPattern::Kind::Exact &&
            parsed->pattern.domain.find('.') == std::string::npos) {
            add_danger(fmt::format("everybody may send mail to all of {}", key.text));
        }
    }
}

void PolicyBuilder::add_line(PolicyKind kind, const Directive& line) {
    const Word& key = line.words.front();
    PolicyRule rule = rule_of(kind, line);
    if (kind == PolicyKind::Recipient) check_recipient_key(key, rule);
    rule.whole_domain = kind == PolicyKind::Sender && key.text.find('@') == std::string::npos;
    look_for_open_relay(kind, key, rule);
    const Result<void> added = built_.table.add(kind, key, std::move(rule));
    if (!added) errors_.add(key.position, added.error().text);
}

/// Only `default rcpt` has a verb: it decides about recipients that nothing else speaks of. Everything else
/// is for those whom a line names.
void PolicyBuilder::add_default(const Directive& line) {
    const Word& name = line.words.front();
    const std::optional<PolicyKind> kind = parse_policy_kind(name.text);
    if (!kind) {
        errors_.add(name.position, "expected one of net, helo, login, port, sender, rcpt, rdns");
        return;
    }
    PolicyRule rule = rule_of(*kind, line);
    for (std::size_t i = 0; i < kPolicyItems; ++i) {
        const PolicyItemRow& row = policy_item_row(static_cast<PolicyItem>(i));
        if (!row.grant || !rule.items.has(row.item)) continue;
        // What the DNS says of this host is asked for each domain; it is no right of the client.
        if (*kind == PolicyKind::Recipient && row.item == PolicyItem::Mx) continue;
        const bool open = *kind == PolicyKind::Recipient &&
                          (row.item == PolicyItem::Accept || row.item == PolicyItem::Relay);
        errors_.add(line.position,
                    open ? fmt::format("default rcpt {} is an open relay", row.name)
                         : fmt::format("{} cannot stand in a default line, nor in its classes", row.name));
    }
    if (*kind == PolicyKind::Recipient && rule.grants.mx == MxRule::Any) {
        built_.dangers.push_back(
            fmt::format("{}: whoever makes this host an exchanger of his domain may send mail there",
                        rule.position.line_text()));
    }
    if (rule.refuses() && *kind != PolicyKind::Recipient) {
        errors_.add(line.position, fmt::format("default {} cannot refuse; only default rcpt can", name.text));
    }
    const Result<void> added = built_.table.set_default(*kind, std::move(rule));
    if (!added) errors_.add(line.position, added.error().text);
}

}  // namespace

BuiltPolicy build_policy(const config::Settings& settings, config::Errors& errors) {
    return PolicyBuilder(settings, errors).run();
}

namespace {

/// Whether a key is about any domain whose mail is let in: ours, or one that a line about domains opens.
bool speaks_of_ours(const DomainPattern& pattern, const config::Settings& settings, const Tables& tables) {
    const auto is_ours = [&](const std::string& name) {
        return tables.local_domain(name) != nullptr || tables.relay_domains.find(name) != nullptr ||
               tables.backups.find(name) != nullptr;
    };
    if (pattern.kind == DomainPattern::Kind::Exact) return is_ours(pattern.domain);
    // What such lines say of a whole tree they say of any name below it.
    if (is_ours("any." + pattern.domain)) return true;
    const auto matches = [&](const auto& named) { return pattern.matches(named.first); };
    if (std::any_of(tables.local_domains.begin(), tables.local_domains.end(), matches)) return true;
    if (std::any_of(tables.domain_aliases.begin(), tables.domain_aliases.end(), matches)) return true;
    for (const std::string_view table : {"relay_domain", "mxbackup"}) {
        for (const Directive* line : settings.table(table)) {
            for (const Word& word : line->words) {
                const Result<DomainPattern> opened = DomainPattern::parse(word.text);
                if (opened && pattern.matches(opened->domain)) return true;
            }
        }
    }
    return false;
}

}  // namespace

void check_accepted_domains(const config::Settings& settings, const Tables& tables, config::Errors& errors) {
    for (const Directive* line : settings.table("rcpt")) {
        const Word& word = line->words.front();
        const Result<AddressKey> key = AddressKey::parse(word.text);
        if (!key || key->kind == AddressKey::Kind::Null || key->kind == AddressKey::Kind::Local) continue;
        const PolicyRule* rule = tables.policy.recipient_at(*key);
        if (rule == nullptr || rule->verb != PolicyVerb::Accept || rule->grants.relay) continue;
        if (speaks_of_ours(key->pattern, settings, tables)) continue;
        errors.add(word.position, fmt::format("accept lets no mail in for {}, which is neither a local nor a "
                                              "relayed domain",
                                              key->pattern.text()));
    }
}

}  // namespace postrider::router
