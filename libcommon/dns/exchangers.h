#pragma once

#include <random>
#include <string>
#include <vector>

#include "libcommon/dns/packet.h"

/// What the MX records of a domain say (RFC 5321, 5.1; RFC 7505).
namespace postrider::dns {

/// Whence randomness comes for spreading load; nothing secret depends on it.
using Random = std::mt19937;

/// The hosts of one preference, in the order in which they are tried.
struct PreferenceGroup {
    std::uint16_t preference = 0;
    std::vector<std::string> hosts;

    friend bool operator==(const PreferenceGroup&, const PreferenceGroup&) = default;
};

/// The exchangers in the order of RFC 5321, 5.1: lowest preference first, in random order within equal ones.
/// A host that stands there twice counts where it is best.
[[nodiscard]] std::vector<PreferenceGroup> preference_groups(std::vector<Mx> records, Random& random);

/// Whether the records say that the domain takes no mail at all: one MX, with the root as exchanger (RFC
/// 7505). The root beside other exchangers is a mistake; preference_groups() leaves it out.
[[nodiscard]] bool is_null_mx(const std::vector<Mx>& records);

/// The one exchanger of a domain without MX records: the domain itself (RFC 5321, 5.1).
[[nodiscard]] Mx implicit_mx(std::string domain);

}  // namespace postrider::dns
