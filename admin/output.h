#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "admin/process_status.h"
#include "admin/queue_commands.h"
#include "libcommon/base/clock.h"
#include "libcommon/queue_file/queue_file.h"

/// What commands print: for people (these functions) and for programs (json_output.h). Pure; each result ends
/// with a line end. What came from outside is printed with control characters replaced, because it goes to a
/// terminal.
namespace postrider::admin {

/// `text` with every control character as `?`.
[[nodiscard]] std::string printable(std::string_view text);

/// "45s", "12m", "3h", "2d": the largest unit that fits.
[[nodiscard]] std::string short_duration(Milliseconds duration);

/// "1 message", "2 messages".
[[nodiscard]] std::string counted(std::uint64_t number, std::string_view noun);

[[nodiscard]] std::string queue_text(const std::vector<wire::QueueEntry>& entries, UnixMillis now);

/// The same of messages in failed/ or corrupt/.
[[nodiscard]] std::string kept_text(const std::vector<wire::QueueEntry>& entries, UnixMillis now);

/// "2026-11-27T19:35:28Z", with milliseconds before the Z on request.
[[nodiscard]] std::string utc_time(UnixMillis time, bool milliseconds = false);

/// "waiting", "expanding", "delivered", "failed".
[[nodiscard]] std::string_view phase_name(queue_file::DeliveryPhase phase);

/// Envelope, deliveries and history of one message.
[[nodiscard]] std::string message_text(const queue_file::QueueFile& file, UnixMillis now);

[[nodiscard]] std::string status_text(const std::vector<ProcessStatus>& daemons, const Counters& counters);

}  // namespace postrider::admin
