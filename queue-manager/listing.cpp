#include "queue-manager/listing.h"

#include <algorithm>
#include <utility>

namespace postrider::queue_manager {

namespace {

// A batch ends with so many messages, or with the one that makes it so large: each may have 50,000
// recipients.
constexpr std::size_t kBatch = 64;
constexpr std::size_t kBatchBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxRecipientBytes = std::size_t{16} << 10;
constexpr std::size_t kMaxQueued = 16;  // frames that may wait for a peer that reads slowly
constexpr Milliseconds kPeerPatience{60'000};

}  // namespace

std::vector<queue_file::QueueId> batch_of(const std::vector<queue_file::QueueId>& ids, std::size_t first) {
    const std::size_t last = std::min(ids.size(), first + kBatch);
    return {ids.begin() + static_cast<std::ptrdiff_t>(first),
            ids.begin() + static_cast<std::ptrdiff_t>(last)};
}

bool fills_batch(std::size_t bytes) {
    return bytes >= kBatchBytes;
}

Batch read_batch(std::size_t count,
                 const std::function<std::optional<wire::QueueEntry>(std::size_t)>& read_one) {
    Batch batch;
    std::size_t bytes = 0;
    while (batch.read < count && !fills_batch(bytes)) {
        auto entry = read_one(batch.read++);
        if (!entry) continue;
        bytes += entry->ByteSizeLong();
        batch.entries.push_back(std::move(*entry));
    }
    return batch;
}

async::Task<bool> post_when_read(async::Loop& loop, QueuePeer& peer, wire::QueueReply reply) {
    if (peer.channel().queued() > kMaxQueued) {
        auto deadline = loop.after(kPeerPatience);
        bool drained = co_await peer.channel().drained(deadline);
        if (!drained) {
            peer.disconnect();
            co_return false;
        }
    }
    peer.reply(reply);
    co_return true;
}

wire::QueueReply& AnswerFrames::with_room(std::size_t octets) {
    // The tag and the length of the field around a part.
    constexpr std::size_t kFraming = 6;
    if (octets_ > 0 && empty_.ByteSizeLong() + octets_ + octets + kFraming > ipc::kFrameTarget) {
        frames_.push_back(empty_);
        octets_ = 0;
    }
    octets_ += octets + kFraming;
    return frames_.back();
}

std::vector<wire::QueueReply> AnswerFrames::take(bool more) {
    for (auto& frame : frames_)
        frame.set_more(true);
    frames_.back().set_more(more);
    return std::move(frames_);
}

async::Task<bool> post_frames(async::Loop& loop, QueuePeer& peer, std::vector<wire::QueueReply> frames) {
    for (auto& frame : frames) {
        bool sent = co_await post_when_read(loop, peer, std::move(frame));
        if (!sent) co_return false;
    }
    co_return true;
}

async::Task<bool> post_listing(async::Loop& loop, QueuePeer& peer, std::uint64_t request,
                               std::vector<wire::QueueEntry> entries, bool more) {
    wire::QueueReply empty;
    empty.set_id(request);
    empty.mutable_listing();
    AnswerFrames frames(std::move(empty));
    for (auto& entry : entries) {
        for (auto& part : split_entry(std::move(entry)))
            *frames.with_room(part.ByteSizeLong()).mutable_listing()->add_entries() = std::move(part);
    }
    std::vector<wire::QueueReply> all = frames.take(more);
    co_return co_await post_frames(loop, peer, std::move(all));
}

std::vector<wire::QueueEntry> split_entry(wire::QueueEntry entry) {
    std::vector<wire::QueueEntry> parts;
    if (entry.ByteSizeLong() <= kMaxRecipientBytes) {
        parts.push_back(std::move(entry));
        return parts;
    }
    wire::QueueEntry head = entry;
    head.clear_recipients();
    wire::QueueEntry part = head;
    std::size_t bytes = 0;
    for (auto& recipient : *entry.mutable_recipients()) {
        std::size_t size = recipient.ByteSizeLong();
        if (bytes > 0 && bytes + size > kMaxRecipientBytes) {
            parts.push_back(std::move(part));
            part = head;
            bytes = 0;
        }
        bytes += size;
        *part.add_recipients() = std::move(recipient);
    }
    parts.push_back(std::move(part));
    return parts;
}

}  // namespace postrider::queue_manager
