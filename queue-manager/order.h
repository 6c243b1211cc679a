#pragma once

#include <functional>

#include "libcommon/ipc/journal.pb.h"
#include "libcommon/queue_file/queue_id.h"

namespace postrider::queue_manager {

/// What an administrator wants done with one message. It is done between two attempts, never during one: an
/// attempt that is under way ends first, its results are journalled, and only then is the order carried out,
/// so that no recipient who has the message gets it again and none is forgotten. Until then the message is
/// offered to nobody. An order waits in memory only; whoever gave it is told nothing before it is on stable
/// storage.
struct Order {
    /// How it ended.
    enum class Outcome {
        Changed,  ///< it is carried out, durably
        Failed,   ///< nothing was changed; the log says why
        Gone      ///< the message ended before
    };
    bool remove = false;       ///< without a report; `record` says only who wants it
    wire::OrderRecord record;  ///< what its journal will say
    /// Called once, on the loop.
    std::function<void(queue_file::QueueId, Outcome)> done;
};

}  // namespace postrider::queue_manager
