#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "libcommon/base/result.h"
#include "libcommon/config/network.h"

namespace postrider::remote_delivery {

/// Where a job goes, as the router put it into `next_hop`.
struct Destination {
    enum class Kind {
        Domain,   ///< `example.org`: its mail exchangers (RFC 5321, 5.1)
        Host,     ///< `mail.example.org:587`: its addresses, MX records do not matter
        Address,  ///< `[192.0.2.1]:25`: just there
    };
    Kind kind = Kind::Domain;
    std::string name;                          ///< of Domain and Host: canonical, in A-labels
    std::optional<config::IpAddress> address;  ///< of Address
    std::uint16_t port = 0;

    /// The port was written down, so an administrator chose the target: it may be an address of this very
    /// host. An address literal out of a mail address has none, and may not.
    bool chosen = false;
};

/// The port of SMTP.
inline constexpr std::uint16_t kSmtpPort = 25;

/// Reads a next hop: the three forms above, and `[address]` without a port. Error: Permanent.
[[nodiscard]] Result<Destination> parse_destination(std::string_view next_hop);

}  // namespace postrider::remote_delivery
