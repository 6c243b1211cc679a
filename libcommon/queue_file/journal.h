#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"
#include "libcommon/ipc/journal.pb.h"
#include "libcommon/queue_file/journal_key.h"
#include "libcommon/queue_file/queue_id.h"

namespace postrider::queue_file {

/// Before each record's payload: its length (32 bits) and its tag (64 bits), lowest byte first.
inline constexpr std::size_t kRecordPrefix = 12;
/// A longer payload is neither written nor believed, which bounds what reading a hostile file can cost.
inline constexpr std::size_t kMaxRecordPayload = std::size_t{256} << 10;

/// Appends the bytes of `record` to `out`. `offset` is where in the file the first byte of the record will
/// be; it is part of the tag. Error (Permanent): the payload would exceed kMaxRecordPayload.
[[nodiscard]] Result<void> append_record(const wire::JournalRecord& record, const JournalKey& key, QueueId id,
                                         std::uint64_t offset, std::string& out);

/// The records in the bytes of a journal that this process wrote; tags are not looked at. What is cut short
/// is left out.
[[nodiscard]] std::vector<wire::JournalRecord> records_in(std::string_view bytes);

/// Reads the records of a journal, one after the other, with a bounded buffer. It ends at the first bytes
/// that are no record: the end of the file, a record that a crash cut short, or junk that somebody appended.
class JournalReader {
  public:
    /// Reads `file`, which outlives the reader, from `offset` on. Without a `key` (the CLI has none) tags are
    /// not checked, and what is read is for the eye only: nothing may be done because of it.
    JournalReader(const Fd& file, std::uint64_t offset, QueueId id, std::optional<JournalKey> key);

    /// The next record; nullopt at the end. Error: the file cannot be read (Temporary).
    [[nodiscard]] Result<std::optional<wire::JournalRecord>> next();

    /// Where the next record would begin: after all valid ones. What lies behind is overwritten by the next
    /// write.
    [[nodiscard]] std::uint64_t end() const { return offset_; }

  private:
    [[nodiscard]] Result<bool> fill(std::size_t wanted);

    const Fd& file_;
    std::uint64_t offset_;
    QueueId id_;
    std::optional<JournalKey> key_;
    std::string buffer_;
    std::size_t used_ = 0;  // bytes of buffer_ already read as records
};

}  // namespace postrider::queue_file
