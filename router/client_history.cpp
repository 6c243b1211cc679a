#include "router/client_history.h"

#include <fmt/format.h>

#include <utility>

#include "router/fate.h"
#include "router/session_policy.h"

namespace postrider::router {

namespace {

/// Before the limits of the tables are known.
constexpr std::size_t kMostNames = 20'000;

/// How long a client is known after it has sent.
constexpr Milliseconds kKnownFor = std::chrono::hours(24 * 7);

std::string network_text(const config::IpAddress& address, const Tables& tables) {
    return tables.client_prefixes.network_of(address).text();
}

/// Whether the general rates and the wait for the greeting are about this client.
bool is_stranger(const Client& client, const Tables& tables) {
    if (!client.address || may_relay(client, tables)) return false;
    const PolicyRule* line = tables.policy.net(*client.address);
    return line == nullptr || line->verb != PolicyVerb::Accept;
}

bool is_account(const Client& client) {
    return !client.local && !client.login.empty();
}

/// What of a line, or else of the default line of its kind, says how much there may be of something.
using RateOption = std::optional<config::Rate> PolicyTuning::*;

std::optional<AppliedRate> rate_of_line(const PolicyRule* line, PolicyKind kind, RateOption option,
                                        const Tables& tables) {
    for (const PolicyRule* rule : {line, tables.policy.fallback(kind)}) {
        if (rule == nullptr || !(rule->tuning.*option)) continue;
        AppliedRate applied;
        applied.rate = *(rule->tuning.*option);
        applied.over = rule->tuning.over.value_or(Over::Defer);
        applied.rule = rule->position.line_text();
        return applied;
    }
    return std::nullopt;
}

/// A general rate; nothing if it is off.
std::optional<AppliedRate> general_rate(Counted what, const Tables& tables) {
    const config::SendingRateRow& row = config::kSendingRates.at(static_cast<std::size_t>(what));
    const std::optional<config::Rate>& rate = tables.rates.*row.rate;
    if (!rate) return std::nullopt;
    AppliedRate applied;
    applied.rate = *rate;
    applied.rule = row.directive;
    return applied;
}

void add(std::vector<AppliedRate>& rates, std::optional<AppliedRate> rate, Counted what, std::string who) {
    if (!rate) return;
    rate->what = what;
    rate->who = std::move(who);
    rates.push_back(std::move(*rate));
}

void add_client_rate(std::vector<AppliedRate>& rates, const Client& client, Counted what, RateOption option,
                     bool general_holds, const Tables& tables) {
    if (!client.address) return;
    std::optional<AppliedRate> rate =
        rate_of_line(tables.policy.net(*client.address), PolicyKind::Net, option, tables);
    if (!rate && general_holds && is_stranger(client, tables)) rate = general_rate(what, tables);
    add(rates, std::move(rate), what, network_text(*client.address, tables));
}

void add_account_rate(std::vector<AppliedRate>& rates, const Client& client, Counted what, RateOption option,
                      const Tables& tables) {
    if (!is_account(client)) return;
    std::optional<AppliedRate> rate =
        rate_of_line(tables.policy.auth(client.login), PolicyKind::Auth, option, tables);
    if (!rate) rate = general_rate(what, tables);
    add(rates, std::move(rate), what, client.login);
}

/// `sender` as the client wrote it, or as it stands in a window: `@domain` is a domain.
void add_sender_rate(std::vector<AppliedRate>& rates, std::string_view sender, Counted what,
                     RateOption option, const Tables& tables) {
    std::optional<Address> address;
    if (sender.starts_with('@')) {
        address = Address{{}, std::string(sender.substr(1))};
    } else if (!sender.empty()) {
        Result<Address> parsed = parse_address(sender);
        if (!parsed) return;
        address = tables.qualified(std::move(*parsed));
    }
    const PolicyRule* line = tables.policy.sender(address ? &*address : nullptr);
    std::string who = "<>";
    if (address && line != nullptr && line->whole_domain) {
        who = '@' + address->domain;
    } else if (address) {
        who = Address{folded(address->local), address->domain}.text();
    }
    add(rates, rate_of_line(line, PolicyKind::Sender, option, tables), what, std::move(who));
}

struct TransactionRates {
    Counted client, account, sender;
    RateOption option;
};
constexpr TransactionRates kMessageRates{Counted::ClientMessages, Counted::AccountMessages,
                                         Counted::SenderMessages, &PolicyTuning::message_rate};
constexpr TransactionRates kRecipientRates{Counted::ClientRecipients, Counted::AccountRecipients,
                                           Counted::SenderRecipients, &PolicyTuning::recipient_rate};

std::vector<AppliedRate> transaction_rates(const TransactionRates& which, const Client& client,
                                           std::string_view sender, const Tables& tables) {
    std::vector<AppliedRate> rates;
    add_client_rate(rates, client, which.client, which.option, !is_account(client), tables);
    add_account_rate(rates, client, which.account, which.option, tables);
    if (trust_of(client, rules_for(client, tables)) != Trust::All)
        add_sender_rate(rates, sender, which.sender, which.option, tables);
    return rates;
}

/// The rate that holds for a name in a window.
std::vector<AppliedRate> rates_of_name(Counted what, const std::string& name, const Tables& tables) {
    std::vector<AppliedRate> rates;
    Client client;
    const bool messages = counted_things(what) == "messages";
    const RateOption option = messages ? &PolicyTuning::message_rate : &PolicyTuning::recipient_rate;
    switch (what) {
        case Counted::AccountMessages:
        case Counted::AccountRecipients:
            client.login = name;
            add_account_rate(rates, client, what, option, tables);
            break;
        case Counted::ClientConnections:
        case Counted::ClientMessages:
        case Counted::ClientRecipients: {
            const Result<config::Network> network = config::Network::parse(name);
            if (!network) break;
            client.address = network->address();
            const bool connections = what == Counted::ClientConnections;
            add_client_rate(rates, client, what, connections ? &PolicyTuning::connection_rate : option, true,
                            tables);
            break;
        }
        case Counted::SenderMessages:
        case Counted::SenderRecipients:
            add_sender_rate(rates, name == "<>" ? std::string_view() : name, what, option, tables);
            break;
    }
    return rates;
}

}  // namespace

std::string_view counted_kind(Counted what) {
    switch (what) {
        case Counted::AccountMessages:
        case Counted::AccountRecipients:
            return "login";
        case Counted::SenderMessages:
        case Counted::SenderRecipients:
            return "sender";
        default:
            return "client";
    }
}

std::string_view counted_things(Counted what) {
    switch (what) {
        case Counted::ClientConnections:
            return "connections";
        case Counted::AccountMessages:
        case Counted::ClientMessages:
        case Counted::SenderMessages:
            return "messages";
        default:
            return "recipients";
    }
}

Verdict over_rate(const AppliedRate& rate) {
    // A session is not begun (421, 554); a message may be sent later (452), or never (550).
    const bool session = rate.what == Counted::ClientConnections;
    const bool reject = rate.over == Over::Reject;
    Verdict refused;
    refused.action = reject ? Verdict::Action::Reject : Verdict::Action::Defer;
    if (reject) {
        refused.code = session ? 554 : 550;
        refused.enhanced = "5.7.1";
    } else {
        refused.code = session ? 421 : 452;
        refused.enhanced = session ? "4.7.0" : "4.7.1";
    }
    refused.text = fmt::format("too many {} from {}{}", counted_things(rate.what), rate.who,
                               reject ? "" : ", try again later");
    refused.rule = rate.rule;
    return refused;
}

const RateUse* first_used_up(const std::vector<RateUse>& rates) {
    for (const RateUse& rate : rates) {
        if (rate.is_over()) return &rate;
    }
    return nullptr;
}

ClientHistory::ClientHistory()
    : windows_{RateWindow(kMostNames), RateWindow(kMostNames), RateWindow(kMostNames), RateWindow(kMostNames),
               RateWindow(kMostNames), RateWindow(kMostNames), RateWindow(kMostNames)},
      known_(kMostNames) {}

void ClientHistory::use_tables(const Tables& tables) {
    for (RateWindow& one : windows_)
        one.set_most_names(tables.limits.rate_names);
    known_.set_most_names(tables.limits.rate_names);
}

std::vector<RateUse> ClientHistory::with_use(std::vector<AppliedRate> rates, SteadyTime now) const {
    std::vector<RateUse> uses;
    for (AppliedRate& rate : rates) {
        const std::uint64_t used = window(rate.what).used(rate.who, rate.rate.period, now);
        uses.push_back({std::move(rate), used});
    }
    return uses;
}

std::optional<Verdict> ClientHistory::count(const std::vector<RateUse>& rates, SteadyTime now) {
    if (const RateUse* used_up = first_used_up(rates)) return over_rate(used_up->applied);
    for (const RateUse& rate : rates) {
        windows_.at(static_cast<std::size_t>(rate.applied.what))
            .count(rate.applied.who, rate.applied.rate.period, now);
    }
    return std::nullopt;
}

std::vector<RateUse> ClientHistory::connection_rates(const Client& client, const Tables& tables,
                                                     SteadyTime now) const {
    std::vector<AppliedRate> rates;
    add_client_rate(rates, client, Counted::ClientConnections, &PolicyTuning::connection_rate,
                    !client.submission, tables);
    return with_use(std::move(rates), now);
}

std::vector<RateUse> ClientHistory::message_rates(const Client& client, std::string_view sender,
                                                  const Tables& tables, SteadyTime now) const {
    return with_use(transaction_rates(kMessageRates, client, sender, tables), now);
}

std::vector<RateUse> ClientHistory::recipient_rates(const Client& client, std::string_view sender,
                                                    const Tables& tables, SteadyTime now) const {
    return with_use(transaction_rates(kRecipientRates, client, sender, tables), now);
}

std::optional<Verdict> ClientHistory::count_connection(const Client& client, const Tables& tables,
                                                       SteadyTime now) {
    return count(connection_rates(client, tables, now), now);
}

std::optional<Verdict> ClientHistory::count_message(const Client& client, std::string_view sender,
                                                    const Tables& tables, SteadyTime now) {
    return count(message_rates(client, sender, tables, now), now);
}

std::optional<Verdict> ClientHistory::count_recipient(const Client& client, std::string_view sender,
                                                      const Tables& tables, SteadyTime now) {
    std::optional<Verdict> refused = count(recipient_rates(client, sender, tables, now), now);
    if (!refused && is_stranger(client, tables))
        known_.count(network_text(*client.address, tables), kKnownFor, now);
    return refused;
}

std::vector<RateUse> ClientHistory::uses(unsigned percent, const Tables& tables, SteadyTime now) const {
    constexpr std::uint64_t kWhole = 100;
    std::vector<RateUse> found;
    for (std::size_t i = 0; i < kCountedThings; ++i) {
        const auto what = static_cast<Counted>(i);
        window(what).for_each(now, [&](const std::string& name, std::uint64_t /*used*/) {
            for (RateUse& use : with_use(rates_of_name(what, name, tables), now)) {
                if (use.used * kWhole >= use.applied.rate.count * percent) found.push_back(std::move(use));
            }
        });
    }
    return found;
}

bool ClientHistory::is_new(const Client& client, const Tables& tables, SteadyTime now) const {
    if (!is_stranger(client, tables)) return false;
    return known_.used(network_text(*client.address, tables), kKnownFor, now) == 0;
}

}  // namespace postrider::router
