#include "router/policy_table.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "libcommon/config/values.h"

namespace postrider::router {

namespace {

/// The error about a key that has a line already; no error if `earlier` is nullptr.
Result<void> unless_there(const PolicyRule* earlier, std::string_view key) {
    if (earlier == nullptr) return {};
    return permanent(fmt::format("{} is there already, at {}", key, earlier->position.line_text()));
}

Result<void> add_network(NetworkTable<PolicyRule>& table, const config::Word& key, PolicyRule rule) {
    const Result<config::Network> network = config::Network::parse(key.text);
    if (!network) return failure(network.error());
    return unless_there(table.add(*network, std::move(rule)), network->text());
}

Result<void> add_greeting(GreetingTable& table, const config::Word& key, PolicyRule rule) {
    const Result<const PolicyRule*> added = table.add(key.text, std::move(rule));
    if (!added) return failure(added.error());
    return unless_there(*added, key.text);
}

Result<void> add_client_name(DomainTable<PolicyRule>& table, const config::Word& key, PolicyRule rule) {
    const Result<DomainPattern> pattern = DomainPattern::parse(key.text);
    if (!pattern) return failure(pattern.error());
    if (pattern->kind == DomainPattern::Kind::Any) {
        return permanent("expected DOMAIN, .DOMAIN or *.DOMAIN");
    }
    return unless_there(table.add(*pattern, std::move(rule)), pattern->text());
}

Result<void> add_address(AddressTable<PolicyRule>& table, const config::Word& key, PolicyRule rule) {
    const Result<AddressKey> parsed = AddressKey::parse(key.text);
    if (!parsed) return failure(parsed.error());
    return unless_there(table.add(*parsed, std::move(rule)), parsed->text());
}

Result<void> add_port(std::unordered_map<std::uint16_t, PolicyRule>& table, const config::Word& key,
                      PolicyRule&& rule) {
    const Result<std::uint64_t> port = config::parse_count(key.text);
    if (!port || *port == 0 || *port > std::numeric_limits<std::uint16_t>::max()) {
        return permanent("the port is a number from 1 to 65535");
    }
    const auto [place, added] = table.try_emplace(static_cast<std::uint16_t>(*port), std::move(rule));
    return unless_there(added ? nullptr : &place->second, key.text);
}

}  // namespace

Result<void> PolicyTable::add(PolicyKind kind, const config::Word& key, PolicyRule rule) {
    switch (kind) {
        case PolicyKind::Net:
            return add_network(networks_, key, std::move(rule));
        case PolicyKind::Helo:
            return add_greeting(greetings_, key, std::move(rule));
        case PolicyKind::Auth: {
            if (key.text.empty()) return permanent("an empty login");
            if (key.text == "*" && !key.quoted) {
                if (any_login_) return unless_there(&*any_login_, key.text);
                any_login_ = std::move(rule);
                return {};
            }
            const auto [place, added] = logins_.try_emplace(key.text, std::move(rule));
            return unless_there(added ? nullptr : &place->second, key.text);
        }
        case PolicyKind::Port:
            return add_port(ports_, key, std::move(rule));
        case PolicyKind::Rdns:
            return add_client_name(client_names_, key, std::move(rule));
        case PolicyKind::Sender:
            return add_address(senders_, key, std::move(rule));
        case PolicyKind::Recipient:
            has_exemptions_ |= rule.verb == PolicyVerb::Accept;
            return add_address(recipients_, key, std::move(rule));
    }
    return {};
}

Result<void> PolicyTable::set_default(PolicyKind kind, PolicyRule rule) {
    std::optional<PolicyRule>& place = defaults_[static_cast<std::size_t>(kind)];
    if (place) return unless_there(&*place, fmt::format("default {}", kind_name(kind)));
    place = std::move(rule);
    return {};
}

const PolicyRule* PolicyTable::auth(std::string_view login) const {
    const auto found = logins_.find(login);
    if (found != logins_.end()) return &found->second;
    return any_login_ ? &*any_login_ : nullptr;
}

const PolicyRule* PolicyTable::port(std::uint16_t port) const {
    const auto found = ports_.find(port);
    return found == ports_.end() ? nullptr : &found->second;
}

const PolicyRule* PolicyTable::sender(const Address* sender) const {
    if (sender == nullptr) return senders_.find_null();
    return senders_.find(folded(sender->local), sender->domain);
}

const PolicyRule* PolicyTable::recipient(const Address& recipient,
                                         const std::optional<std::string>& user) const {
    const std::string local = folded(recipient.local);
    if (const PolicyRule* rule = recipients_.find_mailbox(local, recipient.domain)) return rule;
    if (user) {
        if (const PolicyRule* rule = recipients_.find_mailbox(*user, recipient.domain)) return rule;
    }
    if (const PolicyRule* rule = recipients_.find_local(local)) return rule;
    if (user) {
        if (const PolicyRule* rule = recipients_.find_local(*user)) return rule;
    }
    return recipients_.find_domain(recipient.domain);
}

const PolicyRule* PolicyTable::fallback(PolicyKind kind) const {
    const std::optional<PolicyRule>& rule = defaults_[static_cast<std::size_t>(kind)];
    return rule ? &*rule : nullptr;
}

bool PolicyTable::asks_for_greeting() const {
    return !greetings_.empty() || fallback(PolicyKind::Helo) != nullptr;
}

}  // namespace postrider::router
