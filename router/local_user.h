#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "router/facts.h"
#include "router/tables.h"

namespace postrider::router {

/// What senders are told while a table cannot be asked.
inline constexpr std::string_view kTableUnclear = "a table cannot be read";

/// A user of a local domain, or why nobody is known by his name.
struct LocalUser {
    FactState state = FactState::Unknown;
    std::string name;                  ///< of Known, like the next ones: folded
    SystemUser rights;                 ///< with whose rights his mailbox is written
    std::vector<Destination> forward;  ///< where his mail goes instead; empty: to the mailbox
    std::uint64_t quota = 0;           ///< octets that his mailbox may have; 0: any number
    config::Position position;         ///< of what the tables say of him
    std::string_view text;             ///< of Unavailable and Pending: what a sender is told
    std::string reason;                ///< of Unavailable: what an administrator is told; may be empty
};

/// The user with exactly this folded name, who is one of the domain's own table, one that its server knows,
/// or one of the system.
[[nodiscard]] LocalUser find_local_user(const LocalDomain& domain, const std::string& name,
                                        const Tables& tables, Facts& facts);

}  // namespace postrider::router
