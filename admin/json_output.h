#pragma once

#include <string>
#include <vector>

#include "admin/backup_list.h"
#include "admin/etrn_client.h"
#include "admin/explain.h"
#include "admin/process_status.h"
#include "admin/queue_commands.h"
#include "libcommon/queue_file/queue_file.h"

/// What commands print with --json. Times are milliseconds since 1970 UTC. Octets that are no UTF-8 become
/// U+FFFD, as JSON cannot hold them.
namespace postrider::admin {

[[nodiscard]] std::string queue_json(const std::vector<wire::QueueEntry>& entries);
[[nodiscard]] std::string status_json(const std::vector<ProcessStatus>& daemons, const Counters& counters);
[[nodiscard]] std::string flushed_json(std::uint64_t messages);
[[nodiscard]] std::string steered_json(const wire::Steered& steered, bool dry_run);
[[nodiscard]] std::string message_json(const queue_file::QueueFile& file);
[[nodiscard]] std::string destinations_json(const std::vector<wire::DestinationState>& destinations);
[[nodiscard]] std::string shape_json(const wire::Shape& shape);
[[nodiscard]] std::string trace_json(const std::string& queue_id,
                                     const std::vector<wire::TraceEvent>& events);
[[nodiscard]] std::string suspended_json(const wire::Suspended& suspended);
[[nodiscard]] std::string backup_list_json(const BackupList& list);
[[nodiscard]] std::string etrn_json(const EtrnRequest& request, const EtrnAnswers& answers);
[[nodiscard]] std::string lines_json(const std::vector<std::string>& lines);

/// A document each for the client, every stage, limit and rate, the tree of the expansion, and every delivery
/// with its route.
[[nodiscard]] std::string explain_json(const Explanation& explanation, const ExplainCase& what,
                                       const config::Settings& settings);

}  // namespace postrider::admin
