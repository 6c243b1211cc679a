#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "libcommon/async/loop.h"
#include "libcommon/ipc/queue.pb.h"
#include "libcommon/queue_file/queue_id.h"
#include "queue-manager/dispatcher.h"

/// Long answers to an administrator: read a batch at a time, and sent at the speed he reads with. Whatever
/// there is to list, memory holds no more of it than a batch and the frames that wait to be sent.
namespace postrider::queue_manager {

/// The listings of some messages, and how many ids were looked at for them: more than there are entries where
/// messages are gone.
struct Batch {
    std::vector<wire::QueueEntry> entries;
    std::size_t read = 0;
};

/// The ids of one batch, from number `first` on.
[[nodiscard]] std::vector<queue_file::QueueId> batch_of(const std::vector<queue_file::QueueId>& ids,
                                                        std::size_t first);

/// Calls `read_one` with the numbers from 0 on until `count` were read, or their listings are so large that
/// the rest is for another batch; at least once if `count` is not 0. It gives nothing for a message that is
/// gone. May block: for a pool thread.
[[nodiscard]] Batch read_batch(std::size_t count,
                               const std::function<std::optional<wire::QueueEntry>(std::size_t)>& read_one);

/// Whether a batch with listings of so many octets is full.
[[nodiscard]] bool fills_batch(std::size_t bytes);

/// Posts a frame once the peer has read enough of the earlier ones; false if it is gone.
async::Task<bool> post_when_read(async::Loop& loop, QueuePeer& peer, wire::QueueReply reply);

/// The frames of an answer that one may be too small for, filled one after the other.
class AnswerFrames {
  public:
    /// `empty` is a frame without any of the parts, and with the request's id.
    explicit AnswerFrames(wire::QueueReply empty) : empty_(std::move(empty)), frames_{empty_} {}
    /// The frame to add a part of so many octets to.
    [[nodiscard]] wire::QueueReply& with_room(std::size_t octets);
    /// The frames, which are moved out; `more`: others follow the last one.
    [[nodiscard]] std::vector<wire::QueueReply> take(bool more = false);

  private:
    wire::QueueReply empty_;
    std::vector<wire::QueueReply> frames_;
    std::size_t octets_ = 0;  // of the parts in the last frame
};

/// Posts frames as post_when_read() does.
async::Task<bool> post_frames(async::Loop& loop, QueuePeer& peer, std::vector<wire::QueueReply> frames);

/// Posts `entries` in one or more QueueListing frames that answer `request`, as post_when_read() does. Also
/// without entries there is a frame, so that whoever waits knows that something goes on. `more`: others
/// follow the last one.
async::Task<bool> post_listing(async::Loop& loop, QueuePeer& peer, std::uint64_t request,
                               std::vector<wire::QueueEntry> entries, bool more);

/// Splits an entry so that each part fits into a frame. Pure.
[[nodiscard]] std::vector<wire::QueueEntry> split_entry(wire::QueueEntry entry);

}  // namespace postrider::queue_manager
