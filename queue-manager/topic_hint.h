#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// What the time of a queue file says of the message's topics.
///
/// Which of a million messages are about a domain is not known after a start until each was read. The time of
/// a file in cur/ is read anyway, for it is the time of the next attempt, in milliseconds; the part below a
/// millisecond is free, and holds a hash of the topics. So the few files that may be about a domain are found
/// without opening the others. It is set together with the time, costs nothing, and nothing is believed
/// because of it: what it leads to is read, and what it may have missed (a time that was copied badly) is
/// found when all have been read.
///
/// The hints, in nanoseconds; one that ends with 000 says nothing, for some programs copy microseconds only:
///     below 500,000    one topic: the domain of all recipients, which is the next hop, too
///     above            two of them
/// What has more topics has no hint (0). All functions are pure.
namespace postrider::queue_manager {

/// The hint of a message with these topics; 0 if there is none, or more than two.
[[nodiscard]] std::uint32_t hint_of(const std::vector<std::string>& topics);

/// Under which names the WaitingIndex knows a message of which there is only this hint; empty for one that
/// says nothing. No domain and no next hop has such a name.
[[nodiscard]] std::vector<std::string> names_of_hint(std::uint32_t hint);

/// Under which of these names messages about `topic` can be.
[[nodiscard]] std::vector<std::string> hinted_names(std::string_view topic);

}  // namespace postrider::queue_manager
