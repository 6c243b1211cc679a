#include "router/session_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

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
    return names.empty() ? std::string() : fmt::format("quirks={}", fmt::join(names, ","));
}

std::string etrn_text(const wire::SessionPolicy& policy) {
    if (!policy.etrn()) return {};
    if (policy.etrn_domains().empty()) return "etrn";
    return fmt::format("etrn={}", fmt::join(policy.etrn_domains(), ","));
}

std::string tarpit_text(const wire::Tarpit& tarpit) {
    if (tarpit.first_ms() == 0) return {};
    return fmt::format("tarpit={}+{}%<{}", config::format_duration(Milliseconds(tarpit.first_ms())),
                       tarpit.growth_percent(), config::format_duration(Milliseconds(tarpit.most_ms())));
}

std::string number_text(std::string_view name, std::uint32_t value) {
    return value == 0 ? std::string() : fmt::format("{}={}", name, value);
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

std::string policy_text(const wire::SessionPolicy& policy) {
    const std::array<std::string, 15> items = {
        policy.relay() ? "relay" : "",
        policy.vrfy() ? "vrfy" : "",
        policy.expn() ? "expn" : "",
        etrn_text(policy),
        policy.max_message_size() == 0
            ? std::string()
            : fmt::format("maxsize={}", config::format_size(policy.max_message_size())),
        number_text("conns", policy.max_connections()),
        number_text("maxrcpt", policy.max_recipients()),
        number_text("maxrcpt0", policy.max_null_recipients()),
        policy.require_tls() ? "tls=require" : "",
        policy.hide_tls() ? "tls=off" : "",
        policy.require_auth() ? "authreq" : "",
        policy.strict() ? "strict" : "",
        policy.fully_qualified() ? "fqdn" : "",
        quirks_text(policy),
        tarpit_text(policy.tarpit()),
    };
    std::string text;
    for (const std::string& item : items) {
        if (item.empty()) continue;
        if (!text.empty()) text += ' ';
        text += item;
    }
    return text.empty() ? "as configured in general" : text;
}

}  // namespace postrider::router
