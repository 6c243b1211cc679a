#pragma once

#include "router/address.h"
#include "router/facts.h"
#include "router/tables.h"

/// How mail for a domain that is not ours leaves this host.
namespace postrider::router {

struct WayOut {
    const Route* route = nullptr;  ///< nullptr: by the MX of the domain
    /// The line that makes this host a backup MX of the domain: `mxbackup`, or one with `mx=` where the DNS
    /// says so; nullptr if none does.
    const config::Position* backup = nullptr;
    bool unclear = false;  ///< the DNS does not tell now whether `mx=` does; `route` is as if it did not
};

/// The way out for a recipient. The route of a domain whose backup we are is never that of `route *`: what
/// stands there is a smarthost, which would bring the mail back to us (mx-backup, 8). `mxbackup` lines have
/// routes of their own for that; for what `mx=` admits the DNS is asked here.
[[nodiscard]] WayOut find_way_out(const Address& recipient, const Tables& tables, Facts& facts);

/// The line of `route *`, or nullptr.
[[nodiscard]] const Route* default_route(const Tables& tables);

}  // namespace postrider::router
