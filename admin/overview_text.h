#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/clock.h"
#include "libcommon/ipc/queue.pb.h"

/// What the verbs that look at the queue as a whole print for people. Pure; each result ends with a line end.
namespace postrider::admin {

[[nodiscard]] std::string destinations_text(const std::vector<wire::DestinationState>& destinations,
                                            UnixMillis now);
/// All that is known of each destination, in lines of their own.
[[nodiscard]] std::string destination_text(const std::vector<wire::DestinationState>& destinations,
                                           UnixMillis now);

/// The table of queue shape: the `top` rows with most messages, or all if it is 0. `bars`: each row ends with
/// a bar as long as its share of the longest one.
[[nodiscard]] std::string shape_text(const wire::Shape& shape, std::size_t top, bool bars);

[[nodiscard]] std::string trace_text(const std::vector<wire::TraceEvent>& events);

/// The domains that are suspended.
[[nodiscard]] std::string suspended_text(const wire::Suspended& suspended, UnixMillis now);

}  // namespace postrider::admin
