#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/clock.h"
#include "libcommon/base/result.h"
#include "libcommon/config/network.h"

/// The kinds of values that words of the configuration have. Every parser takes the whole word or returns a
/// Permanent error whose text says what was expected; the caller adds the position. Every formatter writes
/// what its parser reads.
namespace postrider::config {

/// `90s 15m 2h 5d`, and `0`.
[[nodiscard]] Result<Milliseconds> parse_duration(std::string_view text);

/// `5m,15m,1h`: at least one, none of them zero.
[[nodiscard]] Result<std::vector<Milliseconds>> parse_durations(std::string_view text);

/// Bytes: `512 64k 30M 1G`, powers of 1024, either case.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);

/// A number without sign or unit.
[[nodiscard]] Result<std::uint64_t> parse_count(std::string_view text);

/// `5%`, 0 to 100.
[[nodiscard]] Result<unsigned> parse_percentage(std::string_view text);

/// `yes` or `no`.
[[nodiscard]] Result<bool> parse_boolean(std::string_view text);

/// So many in a period.
struct Rate {
    std::uint64_t count = 0;
    Milliseconds period{0};
};

/// `300/1h`; the period is not zero.
[[nodiscard]] Result<Rate> parse_rate(std::string_view text);

/// How much of a file system must stay free: a share of it, a number of bytes (or inodes), or both; intake
/// stops when either is undercut. Zero asks for nothing.
struct FreeFloor {
    unsigned percent = 0;
    std::uint64_t amount = 0;

    /// Whether `available` of `total` is enough.
    [[nodiscard]] bool satisfied(std::uint64_t available, std::uint64_t total) const;
};

/// "90s", "15m", "5d": the largest unit that divides it.
[[nodiscard]] std::string format_duration(Milliseconds value);
[[nodiscard]] std::string format_durations(const std::vector<Milliseconds>& values);

/// "300/1h".
[[nodiscard]] std::string format_rate(const Rate& value);

/// "512", "64k", "30M": the largest unit that divides it.
[[nodiscard]] std::string format_size(std::uint64_t value);

/// A host name of two or more labels (RFC 5321, 2.3.5): letters, digits and inner hyphens, at most 63 octets
/// a label and 255 in all. Returned in lower case; Permanent error for anything else.
[[nodiscard]] Result<std::string> parse_host_name(std::string_view text);

}  // namespace postrider::config
