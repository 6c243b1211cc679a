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

/// The same on the socket of those who may only look.
[[nodiscard]] Result<Answers<wire::QueueRequest, wire::QueueReply>> ask_reader(
    const config::Settings& settings, wire::QueueRequest request);

/// The messages that a request for a listing gives, each with all its recipients.
[[nodiscard]] Result<std::vector<wire::QueueEntry>> ask_for_listing(const config::Settings& settings,
                                                                    wire::QueueRequest request);

[[nodiscard]] Result<std::vector<wire::QueueEntry>> list_queue(const config::Settings& settings,
                                                               const wire::Selector& selector,
                                                               wire::Place place = wire::PLACE_QUEUE);

/// A read-only descriptor of the message's queue file.
[[nodiscard]] Result<Fd> open_queue_file(const config::Settings& settings, const std::string& queue_id);

/// Has the matching messages attempted now; returns how many there are.
[[nodiscard]] Result<wire::Flushed> flush_queue(const config::Settings& settings, const wire::Flush& flush);

/// Changes what matches, and waits until that is durable; also for attempts that have to end first.
[[nodiscard]] Result<wire::Steered> steer(const config::Settings& settings, const wire::Steer& asked);

/// The destinations that the scheduler knows, or those with this next hop.
[[nodiscard]] Result<std::vector<wire::DestinationState>> destinations(const config::Settings& settings,
                                                                       const std::string& next_hop);
/// How many messages wait for what, by age; or from whom.
[[nodiscard]] Result<wire::Shape> queue_shape(const config::Settings& settings, bool senders);
/// What became of a message. Error: Permanent if it is not known.
[[nodiscard]] Result<std::vector<wire::TraceEvent>> trace(const config::Settings& settings,
                                                          const std::string& queue_id);
/// Suspends or resumes domains; returns those that this changed.
[[nodiscard]] Result<wire::Suspended> suspend_domains(const config::Settings& settings,
                                                      const wire::SuspendDomains& asked);
[[nodiscard]] Result<wire::Suspended> suspended_domains(const config::Settings& settings);

using Counters = std::vector<std::pair<std::string, std::uint64_t>>;
[[nodiscard]] Result<Counters> queue_counters(const config::Settings& settings);

}  // namespace postrider::admin
