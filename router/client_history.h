#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/clock.h"
#include "router/client.h"
#include "router/policy.h"
#include "router/rate_window.h"
#include "router/tables.h"

namespace postrider::router {

/// What is counted, and of whom.
enum class Counted : std::uint8_t {
    AccountMessages,
    AccountRecipients,
    ClientConnections,
    ClientMessages,
    ClientRecipients,
    SenderMessages,
    SenderRecipients
};
inline constexpr std::size_t kCountedThings = 7;

/// "login", "client", "sender"; "messages", "recipients", "connections".
[[nodiscard]] std::string_view counted_kind(Counted what);
[[nodiscard]] std::string_view counted_things(Counted what);

/// A rate that holds for somebody.
struct AppliedRate {
    Counted what = Counted::AccountMessages;
    std::string who;  ///< the name that is counted
    config::Rate rate;
    Over over = Over::Defer;
    std::string rule;  ///< file:line, or the directive of a general rate
};

/// A rate, and how much of it was used in the period that ends now.
struct RateUse {
    AppliedRate applied;
    std::uint64_t used = 0;

    [[nodiscard]] bool is_over() const { return used >= applied.rate.count; }
};

/// What the router remembers of those who send: how much each account, each client and each sender has done
/// lately, and which clients have sent before. It lies in memory of bounded size, and outlives smtpd, but not
/// the router.
///
/// An account is counted by its login, wherever it comes from; a client by its network
/// (config::ClientPrefixes); a sender by its address, or by its domain where that is the key of its line.
/// Which rate holds is said by the `net`, `login` or `sender` line, by the `default` line of the kind, and
/// for accounts and clients at last by the general rates. The general ones do not count local users, nor
/// clients that may relay or whose `net` line says accept, nor connections for submission: whoever comes
/// there is about to log in, and authd counts who fails to.
class ClientHistory {
  public:
    ClientHistory();

    /// From now on the limits of these tables hold.
    void use_tables(const Tables& tables);

    // Each counts one more, or says why there may be none now, and then counts nothing. The time must not be
    // before that of the last call.
    [[nodiscard]] std::optional<Verdict> count_connection(const Client& client, const Tables& tables,
                                                          SteadyTime now);
    [[nodiscard]] std::optional<Verdict> count_message(const Client& client, std::string_view sender,
                                                       const Tables& tables, SteadyTime now);
    [[nodiscard]] std::optional<Verdict> count_recipient(const Client& client, std::string_view sender,
                                                         const Tables& tables, SteadyTime now);

    // The rates that hold for a connection, a message or a recipient, and how far they are used.
    [[nodiscard]] std::vector<RateUse> connection_rates(const Client& client, const Tables& tables,
                                                        SteadyTime now) const;
    [[nodiscard]] std::vector<RateUse> message_rates(const Client& client, std::string_view sender,
                                                     const Tables& tables, SteadyTime now) const;
    [[nodiscard]] std::vector<RateUse> recipient_rates(const Client& client, std::string_view sender,
                                                       const Tables& tables, SteadyTime now) const;

    /// Everybody who has used at least `percent` of a rate.
    [[nodiscard]] std::vector<RateUse> uses(unsigned percent, const Tables& tables, SteadyTime now) const;

    /// Whether this is a client that would be counted and has not had a recipient accepted for a week.
    [[nodiscard]] bool is_new(const Client& client, const Tables& tables, SteadyTime now) const;

  private:
    [[nodiscard]] std::vector<RateUse> with_use(std::vector<AppliedRate> rates, SteadyTime now) const;
    std::optional<Verdict> count(const std::vector<RateUse>& rates, SteadyTime now);
    [[nodiscard]] const RateWindow& window(Counted what) const {
        return windows_.at(static_cast<std::size_t>(what));
    }

    std::array<RateWindow, kCountedThings> windows_;  // by Counted
    RateWindow known_;
};

/// What somebody hears who has used up a rate.
[[nodiscard]] Verdict over_rate(const AppliedRate& rate);

/// The first of the rates that is used up, or nullptr.
[[nodiscard]] const RateUse* first_used_up(const std::vector<RateUse>& rates);

}  // namespace postrider::router
