#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "libcommon/base/clock.h"
#include "router/client.h"
#include "router/policy.h"
#include "router/rate_window.h"
#include "router/tables.h"

namespace postrider::router {

/// What the router remembers of those who send: how much each account and each client has done lately, and
/// which clients have sent before. It lies in memory of bounded size, and outlives smtpd, but not the router.
///
/// An account is counted by its login, wherever it comes from. A client without login is counted by its
/// network (config::ClientPrefixes), unless it may relay or its `net` line says accept. Local users are not
/// counted, nor are connections for submission: whoever comes there is about to log in, and authd counts who
/// fails to.
class ClientHistory {
  public:
    ClientHistory();

    /// From now on the rates of these tables hold.
    void use_tables(const Tables& tables);

    // Each counts one more, or says why there may be none now. The time must not be before that of the last
    // call.
    [[nodiscard]] std::optional<Verdict> count_connection(const Client& client, const Tables& tables,
                                                          SteadyTime now);
    [[nodiscard]] std::optional<Verdict> count_message(const Client& client, const Tables& tables,
                                                       SteadyTime now);
    [[nodiscard]] std::optional<Verdict> count_recipient(const Client& client, const Tables& tables,
                                                         SteadyTime now);

    /// Whether this is a client that would be counted and has not had a recipient accepted for a week.
    [[nodiscard]] bool is_new(const Client& client, const Tables& tables, SteadyTime now);

  private:
    // In the order of config::kSendingRates.
    enum Counted { AccountMessages, AccountRecipients, ClientConnections, ClientMessages, ClientRecipients };

    std::optional<Verdict> count(Counted what, std::string_view who, SteadyTime now);

    std::array<RateWindow, config::kSendingRates.size()> windows_;  // by Counted
    RateWindow known_;
};

}  // namespace postrider::router
