#include "queue-manager/intake_journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "libcommon/base/file.h"
#include "libcommon/log/log.h"
#include "libcommon/queue_file/journal.h"

namespace postrider::queue_manager {

namespace {

using queue_file::JournalKey;

// Kept free at the end of a segment for what has to be said of messages that are here.
constexpr std::size_t kReserve = std::size_t{256} << 10;
constexpr std::size_t kMaxSegments = 64;
constexpr mode_t kSegmentMode = 0600;
// A segment takes one part of so many of the free space, or it is not made: messages need it more.
constexpr std::uint64_t kShareOfSpace = 20;
constexpr std::size_t kPoolThreads = 2;
constexpr std::size_t kPoolQueue = 8;

std::string segment_name(std::size_t number) {
    return fmt::format("{:02}", number);
}

Result<std::shared_ptr<Fd>> write_empty_segment(int folder, const std::string& name, std::size_t size) {
    struct statvfs space {};
    if (::fstatvfs(folder, &space) != 0) return system_failure("fstatvfs", errno);
    if (space.f_bavail * space.f_frsize / kShareOfSpace < size)
        return temporary("a segment would take too much of the free space");
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

Result<void> sync_files(const std::vector<std::shared_ptr<Fd>>& files, SyncMeter& meter) {
    for (const auto& file : files) {
        if (meter.sync_data(file->get()) != 0) return system_failure("fdatasync", errno);
    }
    return {};
}

}  // namespace

IntakeJournal::IntakeJournal(async::Loop& loop, const Fd& folder, const JournalKey& key, SyncMeter& meter,
                             std::size_t segment_size, std::size_t segments)
    : folder_(folder),
      key_(key),
      meter_(meter),
      segment_size_(segment_size),
      max_segments_(std::min(segments, kMaxSegments)),
      sync_ended_(loop),
      pool_(loop, kPoolThreads, kPoolQueue),
      tasks_(loop) {}

bool IntakeJournal::has_room(std::size_t size) const {
    if (failed_) return false;
    const std::size_t needed = kEntryPrefix + size + kReserve;
    if (!free_.empty()) return kSegmentHeaderSize + needed <= segment_size_;
    return !used_.empty() && used_.back()->end + needed <= segment_size_;
}

Result<void> IntakeJournal::write(EntryKind kind, QueueId id, std::string_view payload, std::size_t reserve) {
    const std::size_t size = kEntryPrefix + payload.size();
    if (used_.empty() || used_.back()->end + size + reserve > segment_size_) {
        auto next = use_next_segment();
        if (!next) return next;
    }
    Segment& segment = *used_.back();
    if (segment.end + size + reserve > segment_size_)
        return temporary("the entry is too large for a segment");
    auto written = write_all_at(
        *segment.file, encode_entry(key_, segment.sequence, segment.end, kind, id, payload), segment.end);
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
    auto written = write_all_at(*segment->file, encode_segment_header(key_, segment->sequence), 0);
    if (!written) {
        failed_ = true;
        return written;
    }
    segment->end = kSegmentHeaderSize;
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
    auto written = write(EntryKind::Message, id, file, kReserve);
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
        std::function<Result<void>()> work = [files = std::move(files), meter = &meter_] {
            return sync_files(files, *meter);
        };
        auto result = co_await pool_.run(std::move(work));
        syncing_ = false;
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
    return write(EntryKind::Record, id, payload, 0);
}

void IntakeJournal::end(QueueId id) {
    auto found = places_.find(id);
    if (found == places_.end()) return;
    if (!failed_) {
        auto written = write(EntryKind::Ended, id, {}, 0);
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

Result<void> IntakeJournal::recover(const Fd& folder, const JournalKey& key,
                                    const std::function<Result<void>(QueueId, std::string file)>& take) {
    std::vector<Fd> files;
    for (std::size_t number = 0; number < kMaxSegments; ++number) {
        Fd file(::openat(folder.get(), segment_name(number).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
        if (!file && errno == ENOENT) continue;
        if (!file) return system_failure("open a journal segment", errno);
        files.push_back(std::move(file));
    }
    return recover_messages(files, key, take);
}

void IntakeJournal::remove_segments(const Fd& folder) {
    for (std::size_t number = 0; number < kMaxSegments; ++number)
        static_cast<void>(::unlinkat(folder.get(), segment_name(number).c_str(), 0));
}

}  // namespace postrider::queue_manager
