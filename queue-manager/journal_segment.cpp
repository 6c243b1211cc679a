#include "queue-manager/journal_segment.h"

#include <map>
#include <unordered_map>
#include <utility>

#include "libcommon/base/file.h"
#include "libcommon/queue_file/journal.h"
#include "libcommon/queue_file/little_endian.h"

namespace postrider::queue_manager {

namespace {

using queue_file::get_little_endian;
using queue_file::JournalKey;
using queue_file::put_little_endian;

constexpr std::string_view kSegmentMagic = "PRJ1";
constexpr unsigned kKindShift = 62;
constexpr unsigned kSequenceShift = 32;

/// What the tag of an entry holds for besides its id and payload. No offset in a queue file is as large.
std::uint64_t place_of(EntryKind kind, std::uint64_t sequence, std::size_t offset) {
    return static_cast<std::uint64_t>(kind) << kKindShift | sequence << kSequenceShift | offset;
}

/// What the journal says of one message.
struct Journalled {
    std::size_t size = 0;
    bool ended = false;
    std::vector<std::string> records;
};

/// Where a message stands: the segment's sequence number, and the offset in it. In the order of their coming.
using Place = std::pair<std::uint64_t, std::size_t>;

/// Reads the segments twice: first what became of each message, then those that are left.
class Recovery {
  public:
    Recovery(const JournalKey& key, const std::vector<Fd>& files) : key_(key) {
        for (const Fd& file : files)
            files_.push_back(&file);
    }

    Result<void> scan() {
        for (const Fd* file : files_) {
            auto sequence = SegmentReader(*file, key_).begin();
            if (!sequence) return failure(std::move(sequence.error()));
            // One that was never used, or whose first sync a power cut prevented: nothing in it was promised.
            if (*sequence) segments_.emplace(**sequence, file);
        }
        for (const auto& [sequence, file] : segments_) {
            auto scanned = scan_segment(sequence, *file);
            if (!scanned) return scanned;
        }
        return {};
    }

    Result<void> take_all(const std::function<Result<void>(QueueId, std::string file)>& take) const {
        for (const auto& [place, id] : order_) {
            const Journalled& left = messages_.at(id);
            if (left.ended) continue;
            auto bytes = read_at(*segments_.at(place.first), left.size, place.second);
            if (!bytes) return failure(std::move(bytes.error()));
            add_records(id, left, *bytes);
            auto taken = take(id, std::move(*bytes));
            if (!taken) return taken;
        }
        return {};
    }

  private:
    Result<void> scan_segment(std::uint64_t sequence, const Fd& file) {
        SegmentReader reader(file, key_);
        static_cast<void>(reader.begin());
        while (true) {
            auto entry = reader.next();
            if (!entry) return failure(std::move(entry.error()));
            if (!*entry) return {};
            note(sequence, std::move(**entry));
        }
    }

    void note(std::uint64_t sequence, Entry entry) {
        auto found = messages_.find(entry.id);
        if (entry.kind == EntryKind::Message) {
            if (found != messages_.end()) return;
            messages_[entry.id].size = entry.payload.size();
            order_.emplace(Place{sequence, entry.payload_offset}, entry.id);
            return;
        }
        // Of one whose segment was used again since: it had ended.
        if (found == messages_.end()) return;
        if (entry.kind == EntryKind::Ended) {
            found->second.ended = true;
        } else {
            found->second.records.push_back(std::move(entry.payload));
        }
    }

    void add_records(QueueId id, const Journalled& left, std::string& bytes) const {
        for (const auto& record : left.records) {
            wire::JournalRecord parsed;
            if (!parsed.ParseFromString(record)) return;
            auto appended = queue_file::append_record(parsed, key_, id, bytes.size(), bytes);
            if (!appended) return;
        }
    }

    const JournalKey& key_;
    std::vector<const Fd*> files_;
    std::map<std::uint64_t, const Fd*> segments_;
    std::map<Place, QueueId> order_;
    std::unordered_map<QueueId, Journalled> messages_;
};

}  // namespace

std::string encode_segment_header(const JournalKey& key, std::uint64_t sequence) {
    std::string bytes(kSegmentMagic);
    put_little_endian(bytes, sequence);
    put_little_endian(bytes, key.tag(QueueId(), place_of(EntryKind::Message, sequence, 0), kSegmentMagic));
    return bytes;
}

std::string encode_entry(const JournalKey& key, std::uint64_t sequence, std::size_t offset, EntryKind kind,
                         QueueId id, std::string_view payload) {
    std::string bytes;
    bytes.reserve(kEntryPrefix + payload.size());
    put_little_endian(bytes, static_cast<std::uint32_t>(payload.size()));
    put_little_endian(bytes, static_cast<std::uint32_t>(kind));
    put_little_endian(bytes, id.milliseconds());
    put_little_endian(bytes, id.random());
    put_little_endian(bytes, key.tag(id, place_of(kind, sequence, offset), payload));
    bytes += payload;
    return bytes;
}

Result<std::optional<std::uint64_t>> SegmentReader::begin() {
    auto header = read_at(file_, kSegmentHeaderSize, 0);
    if (!header) return failure(std::move(header.error()));
    if (header->size() < kSegmentHeaderSize) return std::nullopt;
    const auto sequence = get_little_endian<std::uint64_t>(*header, kSegmentMagic.size());
    if (*header != encode_segment_header(key_, sequence)) return std::nullopt;
    sequence_ = sequence;
    at_ = kSegmentHeaderSize;
    return sequence;
}

Result<std::optional<Entry>> SegmentReader::next() {
    constexpr std::size_t kKindAt = 4;
    constexpr std::size_t kIdAt = 8;
    constexpr std::size_t kRandomAt = 16;
    constexpr std::size_t kTagAt = 20;
    auto prefix = read_at(file_, kEntryPrefix, at_);
    if (!prefix) return failure(std::move(prefix.error()));
    if (prefix->size() < kEntryPrefix) return std::nullopt;
    const auto length = get_little_endian<std::uint32_t>(*prefix, 0);
    const auto kind = get_little_endian<std::uint32_t>(*prefix, kKindAt);
    if (kind == 0 || kind > static_cast<std::uint32_t>(EntryKind::Ended)) return std::nullopt;
    if (length > kMaxEntryPayload) return std::nullopt;
    Entry entry;
    entry.kind = static_cast<EntryKind>(kind);
    entry.id = QueueId(get_little_endian<std::uint64_t>(*prefix, kIdAt),
                       get_little_endian<std::uint32_t>(*prefix, kRandomAt));
    entry.payload_offset = at_ + kEntryPrefix;
    auto payload = read_at(file_, length, entry.payload_offset);
    if (!payload) return failure(std::move(payload.error()));
    const auto tag = key_.tag(entry.id, place_of(entry.kind, sequence_, at_), *payload);
    if (payload->size() < length || get_little_endian<std::uint64_t>(*prefix, kTagAt) != tag)
        return std::nullopt;
    entry.payload = std::move(*payload);
    at_ = entry.payload_offset + length;
    return entry;
}

Result<void> recover_messages(const std::vector<Fd>& files, const JournalKey& key,
                              const std::function<Result<void>(QueueId, std::string file)>& take) {
    Recovery recovery(key, files);
    auto scanned = recovery.scan();
    if (!scanned) return scanned;
    return recovery.take_all(take);
}

}  // namespace postrider::queue_manager
