#pragma once

#include <random>
#include <string>
#include <vector>

#include "libcommon/config/network.h"
#include "libcommon/dns/packet.h"

namespace postrider::remote_delivery {

/// Whence randomness comes for spreading load; nothing secret depends on it.
using Random = std::mt19937;

/// The hosts of one preference, in the order in which they are tried.
using PreferenceGroup = std::vector<std::string>;

/// The exchangers in the order of RFC 5321, 5.1: lowest preference first, in random order within equal ones.
/// A host that stands there twice counts where it is best.
[[nodiscard]] std::vector<PreferenceGroup> preference_groups(std::vector<dns::Mx> records, Random& random);

/// Whether the records say that the domain takes no mail at all: one MX, with the root as exchanger (RFC
/// 7505). The root beside other exchangers is a mistake; preference_groups() leaves it out.
[[nodiscard]] bool is_null_mx(const std::vector<dns::Mx>& records);

/// IPv4 and IPv6 addresses in turn, each family shuffled, so that a few attempts reach both families.
[[nodiscard]] std::vector<config::IpAddress> interleave(std::vector<config::IpAddress> v4,
                                                        std::vector<config::IpAddress> v6, Random& random);

}  // namespace postrider::remote_delivery
