#pragma once

#include <string>
#include <vector>

#include "libcommon/config/network.h"
#include "router/facts.h"
#include "router/tables.h"

namespace postrider::router {

/// What the DNS calls a client.
struct ClientNames {
    std::string confirmed;  ///< a reverse name that has the client's address itself; empty if there is none

    /// The other reverse names. Whoever manages the addresses can write anything there, so they are good for
    /// refusing and for nothing else.
    std::vector<std::string> unconfirmed;
};

/// Looks a client's reverse names up, and for each whether it has the client's address. Where the DNS does
/// not say so in time (client_name_timeout), the client has no name.
[[nodiscard]] ClientNames find_client_names(const config::IpAddress& address, const Tables& tables,
                                            Facts& facts);

/// The octets of an address as labels from the last to the first: "1.2.0.192" for 192.0.2.1, and the
/// hexadecimal digits of an IPv6 address in the same way. Below in-addr.arpa or ip6.arpa, or below the zone
/// of a block list (RFC 5782, 2.4), it is the name that speaks of the address.
[[nodiscard]] std::string reversed_labels(const config::IpAddress& address);

}  // namespace postrider::router
