#pragma once

#include "libcommon/config/limits.h"
#include "libcommon/config/network.h"

namespace postrider::config {

/// By how many bits of their addresses clients are told apart. All of an IPv6 /64 usually belongs to one
/// host, which could otherwise come from as many addresses as it likes.
struct ClientPrefixes {
    unsigned v4 = 32;
    unsigned v6 = 64;

    ClientPrefixes() = default;
    /// client_prefix_v4 and client_prefix_v6.
    explicit ClientPrefixes(const Limits& limits)
        : v4(static_cast<unsigned>(limits.get(Limit::ClientPrefixV4))),
          v6(static_cast<unsigned>(limits.get(Limit::ClientPrefixV6))) {}

    /// The network by which a client at `address` is counted.
    [[nodiscard]] IpAddress network_of(const IpAddress& address) const {
        return address.masked(address.is_v4() ? v4 : v6);
    }
};

}  // namespace postrider::config
