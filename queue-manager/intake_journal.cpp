#include "queue-manager/intake_journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "libcommon/base/file.h"
#include "libcommon/log/log.h"
#include "libcommon/queue_file/journal.h"
#include "libcommon/queue_file/little_endian.h"
#include "libcommon/queue_file/queue_file.h"

namespace postrider::queue_manager {

namespace {

using queue_file::get_little_endian;
using queue_file::JournalKey;
using queue_file::put_little_endian;

constexpr std::string_view kMagic = "PRJ1";
// Magic, sequence, tag.
constexpr std::size_t kHeaderSize = 20;
// Length, kind, id (64 and 32 bits), tag.
constexpr std::size_t kEntryPrefix = 28;
// Kept free at the end of a segment for what has to be said of messages that are here.
constexpr std::size_t kReserve = std::size_t{256} << 10;
constexpr std::size_t kMaxSegments = 64;
constexpr mode_t kSegmentMode = 0600;
constexpr std::size_t kPoolThreads = 2;
constexpr std::size_t kPoolQueue = 8;
constexpr unsigned kKindShift = 62;
constexpr unsigned kSequenceShift = 32;

/// What the tag of an entry holds for besides its id and payload. No offset in a queue file is as large.
std::uint64_t place_of(unsigned kind, std::uint64_t sequence, std::size_t offset) {
    return std::uint64_t{kind} << kKindShift | sequence << kSequenceShift | offset;
}

std::string segment_name(std::size_t number) {
    return fmt::format("{:02}", number);
}

std::string segment_header(const JournalKey& key, std::uint64_t sequence) {
    std::string bytes(kMagic);
    put_little_endian(bytes, sequence);
    put_little_endian(bytes, key.tag(QueueId(), place_of(1, sequence, 0), kMagic));
    return bytes;
}

Result<std::shared_ptr<Fd>> write_empty_segment(int folder, const std::string& name, std::size_t size) {
    auto file = std::make_shared<Fd>(
        ::openat(folder, name.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, kSegmentMode));
    if (!*file) return system_failure("create a journal segment", errno);
    // Written, not only reserved: the first write to a reserved block changes what the file system knows of
    // the file, and every sync would have to make that durable, too.
    auto written = write_all_at(*file, std::string(size, '\0'), 0);
    if (!written) {
        static_cast<void>(::unlinkat(folder, name.c_str(), 0));
        return failure(std::move(written.error()));
    }
    // The name, once and for all: later syncs are of data alone.
    if (::fsync(file->get()) != 0 || ::fsync(folder) != 0)
        return system_failure("sync a journal segment", errno);
    return file;
}

Result<void> sync_files(const std::vector<std::shared_ptr<Fd>>& files) {
    for (const auto& file : files) {
        if (::fdatasync(file->get()) != 0) return system_failure("fdatasync", errno);
    }
    return {};
}

}  // namespace

IntakeJournal::IntakeJournal(async::Loop& loop, const Fd& folder, const JournalKey& key,
                             std::size_t segment_size, std::size_t segments)
    : loop_(loop),
      folder_(folder),
      key_(key),
      segment_size_(segment_size),
      max_segments_(std::min(segments, kMaxSegments)),
      sync_ended_(loop),
      pool_(loop, kPoolThreads, kPoolQueue),
      tasks_(loop) {}

std::string IntakeJournal::entry_of(const JournalKey& key, std::uint64_t sequence, std::size_t offset,
                                    Kind kind, QueueId id, std::string_view payload) {
    std::string bytes;
    bytes.reserve(kEntryPrefix + payload.size());
    put_little_endian(bytes, static_cast<std::uint32_t>(payload.size()));
    put_little_endian(bytes, static_cast<std::uint32_t>(kind));
    put_little_endian(bytes, id.milliseconds());
    put_little_endian(bytes, id.random());
    const auto place = place_of(static_cast<unsigned>(kind), sequence, offset);
    put_little_endian(bytes, key.tag(id, place, payload));
    bytes += payload;
    return bytes;
}

bool IntakeJournal::has_room(std::size_t size) const {
    if (failed_) return false;
    const std::size_t needed = kEntryPrefix + size + kReserve;
    if (!free_.empty()) return kHeaderSize + needed <= segment_size_;
    return !used_.empty() && used_.back()->end + needed <= segment_size_;
}

Result<void> IntakeJournal::write(Kind kind, QueueId id, std::string_view payload, std::size_t reserve) {
    const std::size_t size = kEntryPrefix + payload.size();
    if (used_.empty() || used_.back()->end + size + reserve > segment_size_) {
        auto next = use_next_segment();
        if (!next) return next;
    }
    Segment& segment = *used_.back();
    if (segment.end + size + reserve > segment_size_)
        return temporary("the entry is too large for a segment");
    auto written = write_all_at(
        *segment.file, entry_of(key_, segment.sequence, segment.end, kind, id, payload), segment.end);
    if (!written) {
        // What stands behind it would not be found.
        failed_ = true;
        return written;
    }
    segment.end += size;
    return {};
}

Result<void> IntakeJournal::use_next_segment() {
    if (free_.empty()) return temporary("no segment of the journal is free");
    auto segment = std::move(free_.front());
    free_.pop_front();
    segment->sequence = ++last_sequence_;
    auto written = write_all_at(*segment->file, segment_header(key_, segment->sequence), 0);
    if (!written) {
        failed_ = true;
        return written;
    }
    segment->end = kHeaderSize;
    used_.push_back(std::move(segment));
    make_segment();
    return {};
}

void IntakeJournal::make_segment() {
    if (making_ || failed_ || !free_.empty() || made_ >= max_segments_) return;
    making_ = true;
    tasks_.spawn(make(segment_name(made_)));
}

async::Task<void> IntakeJournal::make(std::string name) {
    std::function<Result<std::shared_ptr<Fd>>()> work = [folder = folder_.get(), name, size = segment_size_] {
        return write_empty_segment(folder, name, size);
    };
    auto file = co_await pool_.run(std::move(work));
    making_ = false;
    if (!file || !*file) {
        const std::string reason = file ? file->error().text : "too much to do";
        log::warning("cannot_make_journal_segment").add("reason", reason);
        co_return;
    }
    ++made_;
    auto segment = std::make_unique<Segment>();
    segment->file = std::move(**file);
    free_.push_back(std::move(segment));
}

Result<std::uint64_t> IntakeJournal::append(QueueId id, std::string_view file) {
    if (failed_) return temporary("the journal has failed");
    auto written = write(Kind::Message, id, file, kReserve);
    if (!written) return failure(std::move(written.error()));
    Segment* segment = used_.back().get();
    segment->messages.insert(id);
    places_.emplace(id, segment);
    if (unsynced_.empty() || unsynced_.back() != segment->file) unsynced_.push_back(segment->file);
    return ++appended_;
}

async::Task<Result<void>> IntakeJournal::durable(std::uint64_t position) {
    while (synced_ < position) {
        if (failed_) co_return temporary("the journal cannot be synced");
        if (syncing_) {
            static_cast<void>(co_await sync_ended_.wait());
            continue;
        }
        // All that was appended until now, whoever waits for it; what comes meanwhile is for the next one.
        syncing_ = true;
        const std::uint64_t target = appended_;
        auto files = std::exchange(unsynced_, {});
        if (!used_.empty()) unsynced_.push_back(used_.back()->file);
        std::function<Result<void>()> work = [files = std::move(files)] { return sync_files(files); };
        auto result = co_await pool_.run(std::move(work));
        syncing_ = false;
        ++syncs_;
        if (result && *result) {
            synced_ = target;
        } else {
            // Never repeated: the kernel may have dropped the data and would then report success.
            failed_ = true;
            log::error("journal_failed").add("reason", result ? result->error().text : "too much to do");
        }
        sync_ended_.notify_all();
    }
    co_return Result<void>();
}

Result<void> IntakeJournal::append_record(QueueId id, const wire::JournalRecord& record) {
    const std::string payload = record.SerializeAsString();
    if (payload.size() > queue_file::kMaxRecordPayload)
        return permanent("a journal record would be too long");
    if (failed_) return temporary("the journal has failed");
    return write(Kind::Record, id, payload, 0);
}

void IntakeJournal::end(QueueId id) {
    auto found = places_.find(id);
    if (found == places_.end()) return;
    if (!failed_) {
        auto written = write(Kind::Ended, id, {}, 0);
        // The worst that follows is that it is delivered again after a crash.
        if (!written) log::warning("cannot_write_intake_journal").add("reason", written.error().text);
    }
    found->second->messages.erase(id);
    places_.erase(found);
    recycle();
}

void IntakeJournal::recycle() {
    while (used_.size() > 1 && used_.front()->messages.empty()) {
        free_.push_back(std::move(used_.front()));
        used_.pop_front();
    }
}

std::vector<QueueId> IntakeJournal::in_the_way() {
    if (failed_ || !free_.empty() || made_ < max_segments_ || used_.size() < 2) return {};
    if (used_.front()->sequence == cleared_sequence_) return {};
    cleared_sequence_ = used_.front()->sequence;
    const auto& messages = used_.front()->messages;
    return {messages.begin(), messages.end()};
}

std::vector<QueueId> IntakeJournal::endangered() const {
    std::vector<QueueId> ids;
    if (!failed_) return ids;
    for (const auto& [id, segment] : places_)
        ids.push_back(id);
    return ids;
}

// ---- at a start ----

/// Reads the segments twice: first what became of each message, then those that are left.
class IntakeJournal::Recovery {
  public:
    explicit Recovery(const JournalKey& key) : key_(key) {}

    Result<void> read(Fd file) {
        auto header = read_at(file, kHeaderSize, 0);
        if (!header) return failure(std::move(header.error()));
        if (header->size() < kHeaderSize) return {};
        const auto sequence = get_little_endian<std::uint64_t>(*header, kMagic.size());
        // One that was never used, or whose first sync a power cut prevented: nothing in it was promised.
        if (*header != segment_header(key_, sequence)) return {};
        segments_.emplace(sequence, std::move(file));
        return {};
    }

    Result<void> take_all(const std::function<Result<void>(QueueId, std::string file)>& take) {
        for (const auto& [sequence, file] : segments_) {
            auto scanned = scan(sequence, file);
            if (!scanned) return scanned;
        }
        for (const auto& [place, id] : order_) {
            const Left& left = messages_.at(id);
            if (left.ended) continue;
            auto bytes = read_at(segments_.at(place.first), left.size, place.second);
            if (!bytes) return failure(std::move(bytes.error()));
            for (const auto& record : left.records) {
                wire::JournalRecord parsed;
                if (!parsed.ParseFromString(record)) break;
                auto appended = queue_file::append_record(parsed, key_, id, bytes->size(), *bytes);
                if (!appended) break;
            }
            auto taken = take(id, std::move(*bytes));
            if (!taken) return taken;
        }
        return {};
    }

  private:
    struct Left {
        std::size_t size = 0;
        bool ended = false;
        std::vector<std::string> records;
    };

    Result<void> scan(std::uint64_t sequence, const Fd& file) {
        std::size_t at = kHeaderSize;
        while (true) {
            auto prefix = read_at(file, kEntryPrefix, at);
            if (!prefix) return failure(std::move(prefix.error()));
            if (prefix->size() < kEntryPrefix) return {};
            const auto length = get_little_endian<std::uint32_t>(*prefix, 0);
            const auto kind = get_little_endian<std::uint32_t>(*prefix, 4);
            const QueueId id(get_little_endian<std::uint64_t>(*prefix, 8),
                             get_little_endian<std::uint32_t>(*prefix, 16));
            const auto tag = get_little_endian<std::uint64_t>(*prefix, 20);
            if (kind == 0 || kind > static_cast<std::uint32_t>(Kind::Ended) || length > kMaxEntry) return {};
            auto payload = read_at(file, length, at + kEntryPrefix);
            if (!payload) return failure(std::move(payload.error()));
            if (payload->size() < length || key_.tag(id, place_of(kind, sequence, at), *payload) != tag)
                return {};
            note(static_cast<Kind>(kind), id, {sequence, at + kEntryPrefix}, std::move(*payload));
            at += kEntryPrefix + length;
        }
    }

    void note(Kind kind, QueueId id, std::pair<std::uint64_t, std::size_t> place, std::string payload) {
        if (kind == Kind::Message) {
            messages_[id].size = payload.size();
            order_.emplace(place, id);
            return;
        }
        auto found = messages_.find(id);
        // Of one whose segment was used again since: it had ended.
        if (found == messages_.end()) return;
        if (kind == Kind::Ended) {
            found->second.ended = true;
        } else {
            found->second.records.push_back(std::move(payload));
        }
    }

    static constexpr std::size_t kMaxEntry = std::size_t{1} << 20;
    const JournalKey& key_;
    std::map<std::uint64_t, Fd> segments_;  // by sequence
    std::map<std::pair<std::uint64_t, std::size_t>, QueueId> order_;
    std::unordered_map<QueueId, Left> messages_;
};

Result<void> IntakeJournal::recover(const Fd& folder, const JournalKey& key,
                                    const std::function<Result<void>(QueueId, std::string file)>& take) {
    Recovery recovery(key);
    for (std::size_t number = 0; number < kMaxSegments; ++number) {
        Fd file(::openat(folder.get(), segment_name(number).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
        if (!file && errno == ENOENT) continue;
        if (!file) return system_failure("open a journal segment", errno);
        auto read = recovery.read(std::move(file));
        if (!read) return read;
    }
    return recovery.take_all(take);
}

void IntakeJournal::remove_segments(const Fd& folder) {
    for (std::size_t number = 0; number < kMaxSegments; ++number)
        static_cast<void>(::unlinkat(folder.get(), segment_name(number).c_str(), 0));
}

}  // namespace postrider::queue_manager
