#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "libcommon/async/loop.h"
#include "libcommon/async/scope.h"
#include "libcommon/async/sync.h"
#include "libcommon/async/thread_pool.h"
#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"
#include "libcommon/ipc/journal.pb.h"
#include "libcommon/queue_file/journal_key.h"
#include "libcommon/queue_file/queue_id.h"
#include "queue-manager/journal_segment.h"
#include "queue-manager/sync_meter.h"

namespace postrider::queue_manager {

/// Where small messages are durable until their first attempt has ended.
///
/// A file of its own costs a message a name that is made, moved, synced and removed, though most messages are
/// gone a moment later. Here all messages of the moment are appended to one segment and made durable with one
/// fdatasync(), which writes their octets and nothing else, because the segment was written in full before.
/// A message that its first attempt does not finish becomes a file like any other (Queue::settle), and at a
/// start all that is left here does (recover()); so nothing else of the suite knows this place.
///
/// Segments are used in turn and in their order, also again: one is free when no message of it, or of those
/// before it, is left. So an entry that says that a message ended outlives the message.
///
/// All functions run on the loop, but recover() and remove_segments(), which come before.
class IntakeJournal {
  public:
    /// `folder` is the journal's own; it, the key and the meter outlive the journal. At most `segments` of so
    /// many octets are made, when they are needed.
    IntakeJournal(async::Loop& loop, const Fd& folder, const queue_file::JournalKey& key, SyncMeter& meter,
                  std::size_t segment_size, std::size_t segments);
    IntakeJournal(const IntakeJournal&) = delete;
    IntakeJournal& operator=(const IntakeJournal&) = delete;

    /// Gives each message that an earlier process left, oldest segment first, to `take`: as the octets of a
    /// queue file with its journal. Error: a segment cannot be read, or that of `take`.
    [[nodiscard]] static Result<void> recover(
        const Fd& folder, const queue_file::JournalKey& key,
        const std::function<Result<void>(QueueId, std::string file)>& take);
    /// Removes the segments, once what recover() gave is durable elsewhere.
    static void remove_segments(const Fd& folder);

    /// Begins to make the first segment; to be called again from time to time, should the disk not have had
    /// the room.
    void start() { make_segment(); }

    /// Whether a message of so many octets has room now.
    [[nodiscard]] bool has_room(std::size_t size) const;
    /// Appends a message. Gives its position, for durable(). Error: no room, or the disk does not take it.
    [[nodiscard]] Result<std::uint64_t> append(QueueId id, std::string_view file);
    /// Waits until all up to a position is on stable storage. Error: it never will be; then the journal is
    /// out of use until the next start.
    async::Task<Result<void>> durable(std::uint64_t position);
    /// Appends a record of a message that is here. It is not made durable, as in a file.
    [[nodiscard]] Result<void> append_record(QueueId id, const wire::JournalRecord& record);
    /// A message is finished or has become a file, durably.
    void end(QueueId id);

    /// The messages that keep the oldest segment from being used again, when there is no other: they should
    /// become files. Of each segment once.
    [[nodiscard]] std::vector<QueueId> in_the_way();
    /// All messages that are here, if the disk has failed: they have to become files at once.
    [[nodiscard]] std::vector<QueueId> endangered() const;
    [[nodiscard]] std::size_t messages() const { return places_.size(); }

  private:
    struct Segment {
        std::shared_ptr<Fd> file;
        std::uint64_t sequence = 0;
        std::size_t end = 0;
        std::unordered_set<QueueId> messages;
    };

    [[nodiscard]] Result<void> write(EntryKind kind, QueueId id, std::string_view payload,
                                     std::size_t reserve);
    [[nodiscard]] Result<void> use_next_segment();
    void make_segment();
    async::Task<void> make(std::string name);
    void recycle();

    const Fd& folder_;
    const queue_file::JournalKey& key_;
    SyncMeter& meter_;
    std::size_t segment_size_;
    std::size_t max_segments_;
    std::size_t made_ = 0;
    bool making_ = false;
    bool failed_ = false;
    std::uint64_t last_sequence_ = 0;
    std::uint64_t cleared_sequence_ = 0;         // of the segment that in_the_way() told of last
    std::deque<std::unique_ptr<Segment>> used_;  // the last one is written to
    // The one that was freed first is used first: what ended its messages may stand in those freed after it.
    std::deque<std::unique_ptr<Segment>> free_;
    std::unordered_map<QueueId, Segment*> places_;
    std::uint64_t appended_ = 0;  // messages so far
    std::uint64_t synced_ = 0;    // of them
    bool syncing_ = false;
    std::vector<std::shared_ptr<Fd>> unsynced_;
    async::Condition sync_ended_;
    async::ThreadPool pool_;
    async::Scope tasks_;
};

}  // namespace postrider::queue_manager
