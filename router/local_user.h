#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "router/facts.h"
#include "router/tables.h"

namespace postrider::router {

/// Somebody who gets mail in a local domain: a user of a virtual domain or of the system.
struct LocalUser {
    std::string name;                  ///< folded
    SystemUser rights;                 ///< with whose rights his mailbox is written; uid 0: with nobody's
    std::vector<Destination> forward;  ///< where his `forward=` sends it instead; empty: to the mailbox
    config::Position position;         ///< of his line, if he has one
};

struct LocalUserAnswer {
    FactState state = FactState::Unknown;
    LocalUser user;             ///< of Known
    std::string unclear_table;  ///< of Unavailable: why his table cannot tell now; empty: it is the system
};

/// The user of exactly this folded name.
[[nodiscard]] LocalUserAnswer find_exact_user(const LocalDomain& domain, const std::string& name,
                                              Facts& facts);

/// The user that a folded local part means: the whole of it, or else the part in front of the delimiter.
[[nodiscard]] LocalUserAnswer find_local_user(const Tables& tables, const LocalDomain& domain,
                                              const std::string& local, Facts& facts);

}  // namespace postrider::router
