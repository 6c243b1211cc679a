#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/config/network.h"

// What the defaults of a configuration take from the system; used by settings.cpp alone.

namespace postrider::config {

/// The port of DNS servers (RFC 1035, 4.2).
inline constexpr std::uint16_t kDnsPort = 53;

/// The system's name; where it has no dot, the canonical name that the resolver gives for it. Empty when the
/// system has none.
[[nodiscard]] std::string system_host_name();

/// The `nameserver` lines of a resolv.conf(5). Lines that cannot be used (link-local addresses with a zone)
/// are left out; with none left it is 127.0.0.1, as for the system's resolver.
[[nodiscard]] std::vector<Endpoint> resolvers_of(std::string_view resolv_conf);

}  // namespace postrider::config
