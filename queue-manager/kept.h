#pragma once

#include <vector>

#include "libcommon/async/thread_pool.h"
#include "libcommon/ipc/queue.pb.h"
#include "queue-manager/listing.h"
#include "queue-manager/spool.h"

/// Messages that are in no index: those in hold/, failed/ and corrupt/. Each question about them reads the
/// folder, on a thread of `pool`. References outlive the tasks.
namespace postrider::queue_manager {

/// What is chosen by ids, or else all of the folder; nothing if it cannot be read, which is logged.
async::Task<std::vector<QueueId>> kept_candidates(async::ThreadPool& pool, const Spool& spool, Folder folder,
                                                  wire::Selector selector);

/// The listings of the first of these, as many as are one batch; of those that are there. A state is
/// "quarantined", "held", "failed" or "corrupt", and `why` says more. A file that is no queue file is shown
/// all the same.
async::Task<Batch> read_kept(async::ThreadPool& pool, const Spool& spool, Folder folder,
                             std::vector<QueueId> ids);

/// The folder of a place other than the queue itself.
[[nodiscard]] Folder folder_of_place(wire::Place place);

}  // namespace postrider::queue_manager
