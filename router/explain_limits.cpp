#include "router/explain_limits.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "router/policy.h"
#include "router/session_policy.h"

namespace postrider::router {

namespace {

using config::Limit;
using config::ListenerKind;
using config::ListenerTls;

/// A limit of the general configuration, and the item of the policy that stands in its place.
struct Counterpart {
    Limit limit;
    PolicyItem item;
};
constexpr Counterpart kCounterparts[] = {
    {Limit::MaxMessageSize, PolicyItem::MaxSize},
    {Limit::MaxConnectionsPerClient, PolicyItem::Conns},
    {Limit::MaxRecipients, PolicyItem::MaxRcpt},
    {Limit::MaxNullRecipients, PolicyItem::MaxRcpt0},
};

wire::ExplainedLimit limit_of(std::string_view name, std::string value, std::string rule) {
    wire::ExplainedLimit limit;
    limit.set_name(std::string(name));
    limit.set_value(std::move(value));
    limit.set_rule(std::move(rule));
    return limit;
}

class LimitsOfSession {
  public:
    LimitsOfSession(const Client& client, const wire::SessionPolicy& policy, const Tables& tables)
        : client_(client),
          policy_(policy),
          tables_(tables),
          lines_(session_lines(client, rules_for(client, tables), tables)) {}

    std::vector<wire::ExplainedLimit> run(bool new_client) {
        for (PolicyPart& part : policy_parts(policy_))
            limits_.push_back(limit_of(name_of(part), std::move(part.value), origin_of(part.item)));
        add_listener();
        for (const Counterpart& one : kCounterparts) {
            const Limit limit =
                client_.local && one.item == PolicyItem::Conns ? Limit::MaxConnectionsPerUser : one.limit;
            if (!is_said(one.item)) add_general(limit);
        }
        add_general(Limit::MaxExpandedRecipients);
        add_general(policy_.relay() ? Limit::TrustedSessionMessages : Limit::SessionMessages);
        if (!is_said(PolicyItem::Tarpit)) {
            add_general(Limit::ErrorsBeforeDelay);
            add_general(Limit::ErrorDelay);
        }
        add_general(Limit::ErrorsBeforeDrop);
        if (new_client) add_general(Limit::GreetWait);
        return std::move(limits_);
    }

  private:
    [[nodiscard]] static std::string_view name_of(const PolicyPart& part) {
        const auto* const found = std::find_if(std::begin(kCounterparts), std::end(kCounterparts),
                                               [&](const Counterpart& one) { return one.item == part.item; });
        return found == std::end(kCounterparts) ? part.name : config::limit_row(found->limit).name;
    }

    /// The line that says something: the first one that has it, as rights are never those of a default line.
    [[nodiscard]] std::string origin_of(PolicyItem item) const {
        if (item == PolicyItem::Relay) return relay_right(client_, tables_);
        const bool grant = policy_item_row(item).grant;
        for (const SessionLine& line : lines_) {
            if (line.rule->items.has(item) && !(grant && line.is_default))
                return line.rule->position.line_text();
        }
        return "default";
    }

    [[nodiscard]] bool is_said(PolicyItem item) const {
        return std::any_of(lines_.begin(), lines_.end(),
                           [&](const SessionLine& line) { return line.rule->items.has(item); });
    }

    /// What the `listen` line demands, where the policy does not.
    void add_listener() {
        const config::Listener* listener = tables_.general.listener(client_.port, client_.local);
        const mail::SessionTerms terms = terms_of_session(client_, policy_, tables_);
        const std::string rule = listener == nullptr ? "default" : listener->position.line_text();
        const auto add = [&](bool demanded, PolicyItem item, std::string value) {
            if (demanded) limits_.push_back(limit_of(policy_item_row(item).name, std::move(value), rule));
        };
        add(terms.strict && !policy_.strict(), PolicyItem::Strict, {});
        add(terms.needs_tls && !policy_.require_tls(), PolicyItem::Tls, "require");
        add(terms.needs_login && !policy_.require_auth(), PolicyItem::AuthReq, {});
    }

    void add_general(Limit limit) {
        const config::LimitRow& row = config::limit_row(limit);
        limits_.push_back(limit_of(row.name, config::format_limit(row, tables_.general.limits.get(limit)),
                                   tables_.general.origin(row.name)));
    }

    const Client& client_;
    const wire::SessionPolicy& policy_;
    const Tables& tables_;
    std::vector<SessionLine> lines_;
    std::vector<wire::ExplainedLimit> limits_;
};

}  // namespace

mail::SessionTerms terms_of_session(const Client& client, const wire::SessionPolicy& policy,
                                    const Tables& tables) {
    const config::Listener* listener = tables.general.listener(client.port, client.local);
    mail::SessionTerms terms;
    terms.strict = policy.strict() || (listener != nullptr && listener->strict);
    terms.fully_qualified = policy.fully_qualified();
    terms.needs_tls = policy.require_tls() || (listener != nullptr && listener->tls == ListenerTls::Require);
    terms.needs_login = policy.require_auth() || (client.submission && !policy.relay());
    terms.encrypted = client.encrypted;
    terms.logged_in = !client.login.empty();
    terms.max_message_size = policy.max_message_size() > 0 ? policy.max_message_size()
                                                           : tables.general.limits.get(Limit::MaxMessageSize);
    return terms;
}

std::vector<wire::ExplainedLimit> limits_of_session(const Client& client, const wire::SessionPolicy& policy,
                                                    bool new_client, const Tables& tables) {
    return LimitsOfSession(client, policy, tables).run(new_client);
}

wire::ExplainedRate explained_rate(const RateUse& use) {
    wire::ExplainedRate rate;
    rate.set_kind(std::string(counted_kind(use.applied.what)));
    rate.set_who(use.applied.who);
    rate.set_things(std::string(counted_things(use.applied.what)));
    rate.set_count(use.applied.rate.count);
    rate.set_period_ms(static_cast<std::uint64_t>(use.applied.rate.period.count()));
    rate.set_used(use.used);
    rate.set_rejects(use.applied.over == Over::Reject);
    rate.set_rule(use.applied.rule);
    return rate;
}

}  // namespace postrider::router
