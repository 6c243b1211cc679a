#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libcommon/ipc/router.pb.h"
#include "router/client.h"
#include "router/tables.h"

namespace postrider::router {

/// The lines that speak of a client: for each kind the one that matches, or nullptr.
struct ClientRules {
    const PolicyRule* auth = nullptr;
    const PolicyRule* helo = nullptr;
    const PolicyRule* net = nullptr;
    const PolicyRule* rdns = nullptr;  ///< for the forward-confirmed name
    const PolicyRule* port = nullptr;
};

[[nodiscard]] ClientRules rules_for(const Client& client, const Tables& tables);

/// A line about a reverse name of a client.
struct NameLine {
    const PolicyRule* rule = nullptr;
    std::string name;
};

/// The lines about all reverse names of a client, that of the confirmed one first, for what they have against
/// it: their rights are for the confirmed name only. None if the `net` line says `accept`, which stands above
/// them: an address says more than a name.
[[nodiscard]] std::vector<NameLine> name_lines(const Client& client, const Tables& tables);

/// A line that says something about a session.
struct SessionLine {
    PolicyKind kind = PolicyKind::Net;
    bool is_default = false;
    const PolicyRule* rule = nullptr;
};

/// The lines that make the policy of a client's session, in the order in which their options hold: those that
/// match, as what a client proved, what it says of itself, where it comes from, where it came to; then, in
/// the same order, the `default` lines of the kinds that say anything about this client.
[[nodiscard]] std::vector<SessionLine> session_lines(const Client& client, const ClientRules& rules,
                                                     const Tables& tables);

/// What the `net` line for a client and the default one say together.
[[nodiscard]] PolicyTuning network_tuning(const Client& client, const Tables& tables);

/// What holds for the session of a client. Rights are those of all lines together; of each option the first
/// of the session_lines() that has it counts.
[[nodiscard]] wire::SessionPolicy session_policy(const Client& client, const ClientRules& rules,
                                                 const Tables& tables);

/// Something that a policy says, as one would write it in a table.
struct PolicyPart {
    PolicyItem item = PolicyItem::Accept;
    std::string_view name;
    std::string value;  ///< empty for an item without
};

/// All that a policy says, in the order of the items; what it does not say is as configured in general.
[[nodiscard]] std::vector<PolicyPart> policy_parts(const wire::SessionPolicy& policy);

}  // namespace postrider::router
