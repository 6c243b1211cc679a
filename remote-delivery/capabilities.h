#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postrider::remote_delivery {

/// What a server said it can do. Nothing is assumed: without EHLO everything is false.
struct Capabilities {
    bool esmtp = false;            ///< answered EHLO, not only HELO
    bool pipelining = false;       ///< RFC 2920
    bool eight_bit = false;        ///< 8BITMIME, RFC 6152
    bool smtputf8 = false;         ///< RFC 6531
    bool dsn = false;              ///< RFC 3461
    bool size = false;             ///< RFC 1870: MAIL takes SIZE=
    std::uint64_t size_limit = 0;  ///< octets; 0: no limit was said
};

/// Reads the lines of a 250 reply to EHLO, each without its code (RFC 5321, 4.1.1.1). The first is the
/// greeting. Keywords that are unknown, and malformed lines, are passed over.
[[nodiscard]] Capabilities parse_capabilities(const std::vector<std::string>& lines);

}  // namespace postrider::remote_delivery
