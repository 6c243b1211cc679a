#pragma once

#include <optional>
#include <vector>

#include "libcommon/ipc/queue.pb.h"
#include "queue-manager/listing.h"
#include "queue-manager/spool.h"

/// Messages that are in no index: those in hold/, failed/ and corrupt/. Each question about them reads the
/// folder. These functions may block: for a pool thread.
namespace postrider::queue_manager {

/// What is chosen by ids, or else all of the folder.
[[nodiscard]] std::vector<QueueId> kept_candidates(const Spool& spool, Folder folder,
                                                   const wire::Selector& selector);

/// The listing of one message in the folder; nothing if it is not there any more. Its state is "quarantined",
/// "held", "failed" or "corrupt", and `why` says more. A file that is no queue file is shown all the same.
[[nodiscard]] std::optional<wire::QueueEntry> read_kept(const Spool& spool, QueueId id, Folder folder);

/// The folder of a place other than the queue itself.
[[nodiscard]] Folder folder_of_place(wire::Place place);

}  // namespace postrider::queue_manager
