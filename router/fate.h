#pragma once

#include <string_view>

#include "router/policy.h"
#include "router/session_policy.h"

namespace postrider::router {

/// The lines that speak of a message to one recipient; each may be nullptr.
struct MessageLines {
    ClientRules client;
    const PolicyRule* sender = nullptr;
    const PolicyRule* recipient = nullptr;
};

/// What the client is not asked about any more, by its `net` and `login` lines. Local users are not: nobody
/// wrote a line about them.
[[nodiscard]] Trust trust_of(const Client& client, const ClientRules& rules);

/// Says in `verdict`, which accepts a recipient, what becomes of a message to him. `spared`: only his own
/// line counts.
void decide_fate(const MessageLines& lines, bool spared, const Client& client, const ReplyFacts& facts,
                 const Tables& tables, Verdict& verdict);

}  // namespace postrider::router
