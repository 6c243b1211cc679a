#include "libcommon/queue_file/journal.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "libcommon/base/file.h"
#include "libcommon/queue_file/little_endian.h"

namespace postrider::queue_file {

namespace {
constexpr std::size_t kReadAhead = std::size_t{32} << 10;
}

Result<void> append_record(const wire::JournalRecord& record, const JournalKey& key, QueueId id,
                           std::uint64_t offset, std::string& out) {
    std::string payload = record.SerializeAsString();
    if (payload.size() > kMaxRecordPayload) return permanent("a journal record would be too long");
    put_little_endian(out, static_cast<std::uint32_t>(payload.size()));
    put_little_endian(out, key.tag(id, offset, payload));
    out += payload;
    return {};
}

std::vector<wire::JournalRecord> records_in(std::string_view bytes) {
    std::vector<wire::JournalRecord> records;
    while (bytes.size() > kRecordPrefix) {
        const auto length = get_little_endian<std::uint32_t>(bytes, 0);
        bytes.remove_prefix(kRecordPrefix);
        if (length == 0 || length > kMaxRecordPayload || length > bytes.size()) break;
        wire::JournalRecord record;
        if (!record.ParseFromArray(bytes.data(), static_cast<int>(length))) break;
        records.push_back(std::move(record));
        bytes.remove_prefix(length);
    }
    return records;
}

JournalReader::JournalReader(const Fd& file, std::uint64_t offset, QueueId id, std::optional<JournalKey> key)
    : file_(file), offset_(offset), id_(id), key_(key) {}

Result<bool> JournalReader::fill(std::size_t wanted) {
    if (buffer_.size() - used_ >= wanted) return true;
    buffer_.erase(0, used_);
    used_ = 0;
    std::size_t missing = std::max(wanted - buffer_.size(), kReadAhead);
    auto more = read_at(file_, missing, offset_ + buffer_.size());
    if (!more) return failure(std::move(more.error()));
    buffer_ += *more;
    return buffer_.size() >= wanted;
}

Result<std::optional<wire::JournalRecord>> JournalReader::next() {
    constexpr std::size_t kTagAt = 4;
    auto prefix_there = fill(kRecordPrefix);
    if (!prefix_there) return failure(std::move(prefix_there.error()));
    if (!*prefix_there) return std::nullopt;
    auto length = get_little_endian<std::uint32_t>(buffer_, used_);
    auto tag = get_little_endian<std::uint64_t>(buffer_, used_ + kTagAt);
    if (length == 0 || length > kMaxRecordPayload) return std::nullopt;

    auto payload_there = fill(kRecordPrefix + length);
    if (!payload_there) return failure(std::move(payload_there.error()));
    if (!*payload_there) return std::nullopt;
    std::string_view payload(buffer_.data() + used_ + kRecordPrefix, length);
    if (key_ && key_->tag(id_, offset_, payload) != tag) return std::nullopt;

    wire::JournalRecord record;
    if (!record.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return std::nullopt;
    used_ += kRecordPrefix + length;
    offset_ += kRecordPrefix + length;
    return record;
}

}  // namespace postrider::queue_file
