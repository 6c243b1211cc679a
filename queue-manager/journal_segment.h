#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"
#include "libcommon/queue_file/journal_key.h"
#include "libcommon/queue_file/queue_id.h"

/// The format of the intake journal's segments (postrider-queue-file(5)), and how they are read. A segment is
/// a header and entries behind it, without gaps. Each has a tag that only the spool's key makes, and that
/// holds for its place and the segment's sequence number alone: what a crash cut short, or what an earlier
/// use of the segment left, is no entry.
namespace postrider::queue_manager {

using queue_file::QueueId;

/// What an entry says of a message.
enum class EntryKind : std::uint32_t {
    Message = 1,  ///< the octets of its queue file: header, envelope, content
    Record = 2,   ///< a record for the journal of that file
    Ended = 3     ///< it is finished, or has become a file
};

/// Octets of a segment before its first entry.
inline constexpr std::size_t kSegmentHeaderSize = 20;
/// Octets of an entry before its payload.
inline constexpr std::size_t kEntryPrefix = 28;
/// A longer payload is neither written nor believed.
inline constexpr std::size_t kMaxEntryPayload = std::size_t{1} << 20;

/// The header of a segment in its use number `sequence`, which counts all uses of all segments of a journal.
[[nodiscard]] std::string encode_segment_header(const queue_file::JournalKey& key, std::uint64_t sequence);
/// An entry at `offset` of that segment.
[[nodiscard]] std::string encode_entry(const queue_file::JournalKey& key, std::uint64_t sequence,
                                       std::size_t offset, EntryKind kind, QueueId id,
                                       std::string_view payload);

/// An entry that was read.
struct Entry {
    EntryKind kind = EntryKind::Message;
    QueueId id;
    std::size_t payload_offset = 0;  ///< in the segment
    std::string payload;
};

/// Reads a segment from its beginning; any file may be given.
class SegmentReader {
  public:
    /// `file` and `key` outlive the reader.
    SegmentReader(const Fd& file, const queue_file::JournalKey& key) : file_(file), key_(key) {}

    /// Reads the header: the sequence number; nullopt if it is none. To be called once, first.
    [[nodiscard]] Result<std::optional<std::uint64_t>> begin();
    /// The next entry; nullopt at the end. Error: the file cannot be read.
    [[nodiscard]] Result<std::optional<Entry>> next();

  private:
    const Fd& file_;
    const queue_file::JournalKey& key_;
    std::uint64_t sequence_ = 0;
    std::size_t at_ = 0;
};

/// Gives each message that has not ended in these segments to `take`, in the order in which they came: as the
/// octets of a queue file with its journal. Files that are no segments are left out. Error: one cannot be
/// read, or that of `take`.
[[nodiscard]] Result<void> recover_messages(
    const std::vector<Fd>& files, const queue_file::JournalKey& key,
    const std::function<Result<void>(QueueId, std::string file)>& take);

}  // namespace postrider::queue_manager
