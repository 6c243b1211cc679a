#pragma once

#include <chrono>
#include <string>

#include "libcommon/base/clock.h"

namespace postrider::mail {

/// Makes the system's time zone known to this process. To be called before the process gives up the file
/// system: after that the zone's file can no longer be read, and the times would be in UTC.
void load_local_time_zone();

/// The date of a header field, RFC 5322 3.3, at the given offset from UTC: "Sat, 21 Nov 2026 21:07:53 +0000".
/// Safe in any thread, and the same under every locale.
[[nodiscard]] std::string format_date(UnixMillis when, std::chrono::minutes utc_offset);

/// As above, in the local time zone.
[[nodiscard]] std::string format_date(UnixMillis when);

}  // namespace postrider::mail
