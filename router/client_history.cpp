#include "router/client_history.h"

#include <fmt/format.h>

namespace postrider::router {

namespace {

/// Accounts or clients of which one thing is counted, which takes about 5 MB. Those that were idle longest
/// are forgotten.
constexpr std::size_t kMost = 20'000;

/// How long a client is known after it has sent.
constexpr Milliseconds kKnownFor = std::chrono::hours(24 * 7);

/// Of whom the client is part; nothing if it is not counted.
std::optional<std::string> counted_network(const Client& client, const Tables& tables) {
    if (!client.address || may_relay(client, tables)) return std::nullopt;
    const PolicyRule* line = tables.policy.net(*client.address);
    if (line != nullptr && line->verb == PolicyVerb::Accept) return std::nullopt;
    return tables.client_prefixes.network_of(*client.address).text();
}

bool is_account(const Client& client) {
    return !client.local && !client.login.empty();
}

}  // namespace

ClientHistory::ClientHistory()
    : windows_{RateWindow(kMost), RateWindow(kMost), RateWindow(kMost), RateWindow(kMost), RateWindow(kMost)},
      known_(kMost) {
    known_.set_rate(config::Rate{1, kKnownFor});
}

void ClientHistory::use_tables(const Tables& tables) {
    for (std::size_t i = 0; i < windows_.size(); ++i)
        windows_.at(i).set_rate(tables.rates.*config::kSendingRates.at(i).rate);
}

std::optional<Verdict> ClientHistory::count(Counted what, std::string_view who, SteadyTime now) {
    RateWindow& window = windows_.at(what);
    if (window.has_room(who, now)) {
        window.count(who, now);
        return std::nullopt;
    }
    // A session is not begun (421); a message may be sent later (452).
    const bool session = what == ClientConnections;
    const bool recipients = what == AccountRecipients || what == ClientRecipients;
    const std::string_view things = session ? "connections" : recipients ? "recipients" : "messages";
    Verdict refused;
    refused.action = Verdict::Action::Defer;
    refused.code = session ? 421 : 452;
    refused.enhanced = session ? "4.7.0" : "4.7.1";
    refused.text = fmt::format("too many {} from {}, try again later", things, who);
    refused.rule = config::kSendingRates.at(what).directive;
    return refused;
}

std::optional<Verdict> ClientHistory::count_connection(const Client& client, const Tables& tables,
                                                       SteadyTime now) {
    if (client.submission) return std::nullopt;
    const auto network = counted_network(client, tables);
    return network ? count(ClientConnections, *network, now) : std::nullopt;
}

std::optional<Verdict> ClientHistory::count_message(const Client& client, const Tables& tables,
                                                    SteadyTime now) {
    if (is_account(client)) return count(AccountMessages, client.login, now);
    const auto network = counted_network(client, tables);
    return network ? count(ClientMessages, *network, now) : std::nullopt;
}

std::optional<Verdict> ClientHistory::count_recipient(const Client& client, const Tables& tables,
                                                      SteadyTime now) {
    if (is_account(client)) return count(AccountRecipients, client.login, now);
    const auto network = counted_network(client, tables);
    if (!network) return std::nullopt;
    std::optional<Verdict> refused = count(ClientRecipients, *network, now);
    if (!refused) known_.count(*network, now);
    return refused;
}

bool ClientHistory::is_new(const Client& client, const Tables& tables, SteadyTime now) {
    const auto network = counted_network(client, tables);
    return network && known_.has_room(*network, now);
}

}  // namespace postrider::router
