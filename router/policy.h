#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/config/network.h"
#include "router/expansion.h"
#include "router/tables.h"

/// Who may send what to whom. Pure functions over the tables; the default is to refuse.
namespace postrider::router {

/// Who is asking to send mail.
struct Client {
    std::optional<config::IpAddress> address;  ///< empty for a local user
    std::string login;                         ///< authenticated or local user
    bool local = false;                        ///< a user of this host, through sendmail
};

struct Verdict {
    enum class Action { Accept, Reject, Defer };
    Action action = Action::Accept;
    std::uint32_t code = 0;  ///< reply code of Reject and Defer
    std::string enhanced;
    std::string text;
    std::string rule;  ///< file:line of the deciding line, or a word for a built-in rule
};

/// The verdict on a client that cannot even be described: it waits, because that is nobody's fault but ours.
[[nodiscard]] Verdict unclear_client();

struct ConnectDecision {
    Verdict verdict;
    bool relay = false;  ///< the client may send to any domain
};

/// May this client talk to us? In this version every client may; what differs is whether it may relay: local
/// users, authenticated ones, and those in a `net … relay` line. What a client says of itself (HELO, MAIL)
/// gives no right.
[[nodiscard]] ConnectDecision decide_connect(const Client& client, const Tables& tables);

/// May it use this sender? Anybody may use any well-formed sender, and the null sender.
[[nodiscard]] Verdict decide_sender(const Client& client, std::string_view sender, const Tables& tables);

struct RecipientDecision {
    Verdict verdict;
    std::size_t deliveries = 0;        ///< what the recipient becomes; 0 where nothing was expanded
    std::vector<std::string> pending;  ///< not empty: no verdict yet; look these users up and ask again
};

/// May it send to this recipient? A local recipient must exist; postmaster, abuse and root of local domains,
/// and <postmaster> without domain, are always accepted. Any other domain must be a relay domain or the
/// client's right. With `trace`, the steps of the expansion are appended to it.
[[nodiscard]] RecipientDecision decide_recipient(const Client& client, std::string_view recipient,
                                                 const Tables& tables, UserLookup& users,
                                                 std::vector<TraceLine>* trace = nullptr);

}  // namespace postrider::router
