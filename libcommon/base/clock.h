#pragma once

#include <chrono>
#include <cstdint>

namespace postrider {

/// Time that only goes forward, for time-outs and deadlines inside one process.
using SteadyTime = std::chrono::steady_clock::time_point;
using Milliseconds = std::chrono::milliseconds;
using Seconds = std::chrono::seconds;

/// Milliseconds since 1970 UTC, as stored in queue files and sent between processes.
using UnixMillis = std::uint64_t;

/// Now, on the wall clock.
[[nodiscard]] UnixMillis unix_millis_now();

}  // namespace postrider
