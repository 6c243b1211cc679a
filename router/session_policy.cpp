#include "router/session_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "libcommon/config/values.h"

namespace postrider::router {

namespace {

/// A quirk that hides an extension, by the name it has in a table.
struct HiddenExtension {
    bool Quirks::*quirk;
    wire::SessionPolicy::Extension extension;
    std::string_view name;
};
constexpr std::array<HiddenExtension, 7> kHiddenExtensions{{
    {&Quirks::no_ehlo, wire::SessionPolicy::EHLO, "noehlo"},
    {&Quirks::no_pipelining, wire::SessionPolicy::PIPELINING, "nopipelining"},
    {&Quirks::no_8bit, wire::SessionPolicy::EIGHTBITMIME, "no8bit"},
    {&Quirks::no_dsn, wire::SessionPolicy::DSN, "nodsn"},
    {&Quirks::no_etrn, wire::SessionPolicy::ETRN, "noetrn"},
    {&Quirks::no_chunking, wire::SessionPolicy::CHUNKING, "nochunking"},
    {&Quirks::no_auth, wire::SessionPolicy::AUTH, "noauth"},
}};

void fill_grants(wire::SessionPolicy& policy, const PolicyGrants& grants) {
    policy.set_vrfy(grants.vrfy);
    policy.set_expn(grants.expn);
    policy.set_etrn(grants.etrn || !grants.etrn_domains.empty());
    if (grants.etrn) return;  // for every domain, so the list means nothing
    for (const std::string& domain : grants.etrn_domains)
        policy.add_etrn_domains(domain);
}

void fill_quirks(wire::SessionPolicy& policy, const Quirks& quirks) {
    policy.set_sloppy(quirks.sloppy);
    policy.set_single_line_replies(quirks.oneline);
    for (const HiddenExtension& one : kHiddenExtensions) {
        if (quirks.*one.quirk) policy.add_hidden(one.extension);
    }
}

void fill_tuning(wire::SessionPolicy& policy, const PolicyTuning& tuning) {
    policy.set_max_message_size(tuning.max_message_size.value_or(0));
    policy.set_max_connections(tuning.max_connections.value_or(0));
    policy.set_max_recipients(tuning.max_recipients.value_or(0));
    policy.set_max_null_recipients(tuning.max_null_recipients.value_or(0));
    policy.set_require_auth(tuning.require_auth);
    policy.set_require_tls(tuning.tls == TlsDemand::Require);
    policy.set_hide_tls(tuning.tls == TlsDemand::Off);
    policy.set_strict(tuning.strict);
    policy.set_fully_qualified(tuning.fully_qualified);
    if (tuning.quirks) fill_quirks(policy, *tuning.quirks);
    if (tuning.tarpit) {
        policy.mutable_tarpit()->set_first_ms(tuning.tarpit->first_ms);
        policy.mutable_tarpit()->set_growth_percent(tuning.tarpit->growth_percent);
        policy.mutable_tarpit()->set_most_ms(tuning.tarpit->most_ms);
    }
}

std::string quirks_text(const wire::SessionPolicy& policy) {
    std::vector<std::string_view> names;
    if (policy.sloppy()) names.emplace_back("sloppy");
    for (const HiddenExtension& one : kHiddenExtensions) {
        const auto& hidden = policy.hidden();
        if (std::find(hidden.begin(), hidden.end(), one.extension) != hidden.end()) names.push_back(one.name);
    }
    if (policy.single_line_replies()) names.emplace_back("oneline");
    return fmt::format("{}", fmt::join(names, ","));
}

std::string tarpit_text(const wire::Tarpit& tarpit) {
    return fmt::format("{}+{}%<{}", config::format_duration(Milliseconds(tarpit.first_ms())),
                       tarpit.growth_percent(), config::format_duration(Milliseconds(tarpit.most_ms())));
}

}  // namespace

ClientRules rules_for(const Client& client, const Tables& tables) {
    ClientRules rules;
    // A local user has a login that nobody authenticated; it is his name, and the lines are not about him.
    if (!client.login.empty() && !client.local) rules.auth = tables.policy.auth(client.login);
    if (!client.helo.empty()) rules.helo = tables.policy.helo(client.helo);
    if (client.address) rules.net = tables.policy.net(*client.address);
    rules.rdns = tables.policy.rdns(client.name);
    if (client.port != 0) rules.port = tables.policy.port(client.port);
    return rules;
}

std::vector<NameLine> name_lines(const Client& client, const Tables& tables) {
    std::vector<NameLine> lines;
    const PolicyRule* network = client.address ? tables.policy.net(*client.address) : nullptr;
    if (network != nullptr && network->verb == PolicyVerb::Accept) return lines;
    const auto add = [&](const std::string& name) {
        if (const PolicyRule* rule = tables.policy.rdns(name)) lines.push_back({rule, name});
    };
    add(client.name);
    for (const std::string& name : client.unconfirmed_names)
        add(name);
    return lines;
}

std::vector<SessionLine> session_lines(const Client& client, const ClientRules& rules, const Tables& tables) {
    std::vector<SessionLine> lines;
    const auto add_if = [&](bool applies, PolicyKind kind, bool is_default, const PolicyRule* rule) {
        if (applies && rule != nullptr) lines.push_back({kind, is_default, rule});
    };
    add_if(true, PolicyKind::Auth, false, rules.auth);
    add_if(true, PolicyKind::Helo, false, rules.helo);
    add_if(true, PolicyKind::Net, false, rules.net);
    add_if(true, PolicyKind::Rdns, false, rules.rdns);
    add_if(true, PolicyKind::Port, false, rules.port);
    const auto add_default = [&](bool applies, PolicyKind kind) {
        add_if(applies, kind, true, tables.policy.fallback(kind));
    };
    add_default(!client.login.empty() && !client.local, PolicyKind::Auth);
    add_default(!client.helo.empty(), PolicyKind::Helo);
    add_default(client.address.has_value(), PolicyKind::Net);
    add_default(client.port != 0, PolicyKind::Port);
    return lines;
}

PolicyTuning network_tuning(const Client& client, const Tables& tables) {
    PolicyTuning tuning;
    if (!client.address) return tuning;
    for (const PolicyRule* rule :
         {tables.policy.net(*client.address), tables.policy.fallback(PolicyKind::Net)}) {
        if (rule != nullptr) tuning.fill_from(rule->tuning);
    }
    return tuning;
}

wire::SessionPolicy session_policy(const Client& client, const ClientRules& rules, const Tables& tables) {
    PolicyGrants grants;
    PolicyTuning tuning;
    for (const SessionLine& line : session_lines(client, rules, tables)) {
        if (!line.is_default) grants.add(line.rule->grants);
        tuning.fill_from(line.rule->tuning);
    }
    wire::SessionPolicy policy;
    policy.set_relay(grants.relays() || client.local || !client.login.empty());
    fill_grants(policy, grants);
    fill_tuning(policy, tuning);
    return policy;
}

std::vector<PolicyPart> policy_parts(const wire::SessionPolicy& policy) {
    std::vector<PolicyPart> parts;
    const auto add = [&parts](bool said, PolicyItem item, std::string value = {}) {
        if (said) parts.push_back({item, policy_item_row(item).name, std::move(value)});
    };
    const auto add_number = [&add](PolicyItem item, std::uint32_t value) {
        add(value > 0, item, std::to_string(value));
    };
    add(policy.relay(), PolicyItem::Relay);
    add(policy.vrfy(), PolicyItem::Vrfy);
    add(policy.expn(), PolicyItem::Expn);
    add(policy.etrn(), PolicyItem::Etrn, fmt::format("{}", fmt::join(policy.etrn_domains(), ",")));
    add(policy.max_message_size() > 0, PolicyItem::MaxSize, config::format_size(policy.max_message_size()));
    add_number(PolicyItem::Conns, policy.max_connections());
    add_number(PolicyItem::MaxRcpt, policy.max_recipients());
    add_number(PolicyItem::MaxRcpt0, policy.max_null_recipients());
    add(policy.require_tls(), PolicyItem::Tls, "require");
    add(policy.hide_tls(), PolicyItem::Tls, "off");
    add(policy.require_auth(), PolicyItem::AuthReq);
    add(policy.strict(), PolicyItem::Strict);
    add(policy.fully_qualified(), PolicyItem::Fqdn);
    const bool quirks = policy.sloppy() || policy.single_line_replies() || !policy.hidden().empty();
    add(quirks, PolicyItem::Quirks, quirks_text(policy));
    add(policy.tarpit().first_ms() > 0, PolicyItem::Tarpit, tarpit_text(policy.tarpit()));
    return parts;
}

}  // namespace postrider::router
