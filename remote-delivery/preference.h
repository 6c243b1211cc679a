#pragma once

#include <vector>

#include "libcommon/config/network.h"
#include "libcommon/dns/exchangers.h"

namespace postrider::remote_delivery {

/// Whence randomness comes for spreading load; nothing secret depends on it.
using Random = dns::Random;

/// IPv4 and IPv6 addresses in turn, each family shuffled, so that a few attempts reach both families.
[[nodiscard]] std::vector<config::IpAddress> interleave(std::vector<config::IpAddress> v4,
                                                        std::vector<config::IpAddress> v6, Random& random);

}  // namespace postrider::remote_delivery
