#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "admin/ask.h"
#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"
#include "libcommon/config/settings.h"
#include "libcommon/ipc/queue.pb.h"

/// What an administrator can ask the queue-manager. Each function connects, asks, and returns; the working
/// directory must be run_dir. Temporary error: the queue-manager does not run, or does not talk to this user.
namespace postrider::admin {

/// Asks the queue-manager; all frames of the answer. Error: as of ask().
[[nodiscard]] Result<Answers<wire::QueueRequest, wire::QueueReply>> ask_queue(
    const config::Settings& settings, wire::QueueRequest request);

/// The messages that a request for a listing gives, each with all its recipients.
[[nodiscard]] Result<std::vector<wire::QueueEntry>> ask_for_listing(const config::Settings& settings,
                                                                    wire::QueueRequest request);

[[nodiscard]] Result<std::vector<wire::QueueEntry>> list_queue(const config::Settings& settings,
                                                               const wire::Selector& selector);

/// A read-only descriptor of the message's queue file.
[[nodiscard]] Result<Fd> open_queue_file(const config::Settings& settings, const std::string& queue_id);

/// Has the matching messages attempted now; returns how many there are.
[[nodiscard]] Result<std::uint64_t> flush_queue(const config::Settings& settings,
                                                const wire::Selector& selector);

using Counters = std::vector<std::pair<std::string, std::uint64_t>>;
[[nodiscard]] Result<Counters> queue_counters(const config::Settings& settings);

}  // namespace postrider::admin
