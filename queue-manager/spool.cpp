#include "queue-manager/spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "libcommon/base/file.h"
#include "libcommon/log/log.h"

namespace postrider::queue_manager {

namespace {

constexpr mode_t kFolderMode = 0700;
constexpr mode_t kFileMode = 0600;
constexpr const char* kKeyFile = "key";
constexpr long kNanosecondsPerMillisecond = 1'000'000;
constexpr int kLockAttempts = 100;
constexpr Milliseconds kLockPause{50};

[[noreturn]] void fail(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

Fd open_folder(const Fd& parent, const std::string& name) {
    if (::mkdirat(parent.get(), name.c_str(), kFolderMode) != 0 && errno != EEXIST) fail("mkdir " + name);
    Fd folder(::openat(parent.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder) fail("open " + name);
    return folder;
}

/// The name of the sixteenth of cur/ that an id belongs to: its last character's low bits, which are random.
std::size_t slice_of(QueueId id) {
    return id.random() & 0xF;
}

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

Directory list(const Fd& folder) {
    int copy = ::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy < 0) return nullptr;
    Directory directory(::fdopendir(copy));
    if (!directory) static_cast<void>(Fd(copy));
    return directory;
}

bool is_dot(std::string_view name) {
    return name == "." || name == "..";
}

/// The hint in the time of a file. One that the last write left there has none; the file was changed at that
/// same time.
std::uint32_t hint_in(const struct stat& status) {
    const bool written =
        status.st_mtim.tv_sec == status.st_ctim.tv_sec && status.st_mtim.tv_nsec == status.st_ctim.tv_nsec;
    return written ? 0 : static_cast<std::uint32_t>(status.st_mtim.tv_nsec % kNanosecondsPerMillisecond);
}

}  // namespace

timespec to_timespec(UnixMillis time) {
    timespec out{};
    out.tv_sec = static_cast<time_t>(time / 1000);
    out.tv_nsec = static_cast<long>(time % 1000) * kNanosecondsPerMillisecond;
    return out;
}

UnixMillis to_millis(const timespec& time) {
    return static_cast<UnixMillis>(time.tv_sec) * 1000 +
           static_cast<UnixMillis>(time.tv_nsec / kNanosecondsPerMillisecond);
}

bool needs_directory_sync(const std::string& path) {
    struct statfs status {};
    if (::statfs(path.c_str(), &status) != 0) return true;
    auto type = static_cast<unsigned long>(status.f_type);
    // ext2 and ext3 share the number of ext4; nobody formats those any more.
    return type != EXT4_SUPER_MAGIC && type != XFS_SUPER_MAGIC && type != BTRFS_SUPER_MAGIC;
}

Spool::Spool(const std::string& path, bool sync_directory) : sync_directory_(sync_directory) {
    root_ = Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root_) fail(path);
    lock();
    tmp_ = open_folder(root_, "tmp");
    new_ = open_folder(root_, "new");
    Fd cur = open_folder(root_, "cur");
    for (std::size_t i = 0; i < cur_.size(); ++i)
        cur_[i] = open_folder(cur, fmt::format("{:x}", i));
    hold_ = open_folder(root_, "hold");
    failed_ = open_folder(root_, "failed");
    corrupt_ = open_folder(root_, "corrupt");
    journal_ = open_folder(root_, "journal");
    sync_folders();
    load_key();
}

void Spool::sync_folders() {
    // The commit makes a file and its name durable. That its folder has a name, too, is seen to here, once,
    // before the first message is in it: they may have been made just now.
    for (const char* name : {".", "cur"}) {
        const Fd folder = open_folder(root_, name);
        if (sync_meter_.sync(folder.get()) == 0) continue;
        // A spool on a file system that was made read-only after an error is still read.
        if (errno == EROFS) return;
        fail("sync the folders of the spool");
    }
}

void Spool::lock() {
    // Two queue-managers with one spool would deliver everything twice. One that is being replaced may take a
    // moment to end; the lock ends with it, however it ends.
    for (int attempt = 0; ::flock(root_.get(), LOCK_EX | LOCK_NB) != 0; ++attempt) {
        if (errno != EWOULDBLOCK) fail("lock the spool");
        if (attempt == kLockAttempts) throw std::runtime_error("another queue-manager uses the spool");
        std::this_thread::sleep_for(kLockPause);
    }
}

void Spool::load_key() {
    const auto trouble = [](const Error& error) { return std::runtime_error("spool key: " + error.text); };
    auto bytes = read_note(kKeyFile);
    if (!bytes) throw trouble(bytes.error());
    if (*bytes) {
        auto key = queue_file::JournalKey::from_bytes(**bytes);
        if (!key) throw trouble(key.error());
        key_ = *key;
        return;
    }
    // Durable before the first journal record that it authenticates. Without the key journals are not
    // believed: messages are resolved afresh and perhaps delivered twice, never lost.
    const auto key = queue_file::JournalKey::make();
    auto written = replace_note(kKeyFile, key.bytes());
    if (!written) throw trouble(written.error());
    key_ = key;
}

const Fd& Spool::folder_of(QueueId id, Folder folder) const {
    switch (folder) {
        case Folder::New:
            return new_;
        case Folder::Hold:
            return hold_;
        case Folder::Failed:
            return failed_;
        case Folder::Corrupt:
            return corrupt_;
        case Folder::Cur:
        case Folder::Journal:
            break;
    }
    return cur_[slice_of(id)];
}

Result<Fd> Spool::open_in(const Fd& directory, QueueId id, int flags) const {
    Fd file(::openat(directory.get(), id.text().c_str(), flags | O_NOFOLLOW | O_CLOEXEC));
    if (!file) return system_failure(id.text(), errno);
    return file;
}

Result<Fd> Spool::create_in_tmp(QueueId id) const {
    Fd file(::openat(tmp_.get(), id.text().c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, kFileMode));
    if (!file) return system_failure("create queue file", errno);
    return file;
}

Result<Spool::Incoming> Spool::create(QueueId id, const wire::Envelope& envelope) {
    auto beginning = queue_file::encode_beginning(id, envelope);
    if (!beginning) return failure(std::move(beginning.error()));
    Incoming incoming;
    incoming.header = beginning->header;
    auto file = create_in_tmp(id);
    if (!file) return failure(std::move(file.error()));
    incoming.file = std::move(*file);
    auto written = write_all_at(incoming.file, beginning->bytes, 0);
    if (!written) {
        discard(id);
        return failure(std::move(written.error()));
    }
    // Opened anew, not duplicated: the flags and the position of our own descriptor stay out of the writer's
    // reach, and it can neither read the file nor, while the flag stands, write anywhere but at the end.
    auto writer = open_in(tmp_, id, O_WRONLY | O_APPEND);
    if (!writer) {
        discard(id);
        return failure(std::move(writer.error()));
    }
    incoming.writer = std::move(*writer);
    return incoming;
}

void Spool::discard(QueueId id) {
    static_cast<void>(::unlinkat(tmp_.get(), id.text().c_str(), 0));
}

Result<queue_file::Header> Spool::commit(const queue_file::Header& receiving, int file,
                                         std::uint64_t content_length, std::uint64_t content_xxh3,
                                         Folder target) {
    struct stat status {};
    if (::fstat(file, &status) != 0) {
        auto error = system_failure("fstat", errno);
        discard(receiving.id);
        return error;
    }
    // The writer is not believed about the length: the journal's place depends on it.
    std::uint64_t expected = receiving.content_offset() + content_length;
    if (content_length > queue_file::Header::kMaxContentLength ||
        static_cast<std::uint64_t>(status.st_size) != expected) {
        discard(receiving.id);
        return permanent(fmt::format("the file has {} bytes, not {}", status.st_size, expected));
    }
    std::string bytes = queue_file::complete_header(receiving, content_length, content_xxh3);
    ssize_t written = ::pwrite(file, bytes.data(), bytes.size(), 0);
    if (written != static_cast<ssize_t>(bytes.size())) {
        auto error = system_failure("write header", written < 0 ? errno : EIO);
        discard(receiving.id);
        return error;
    }
    auto placed = place(receiving.id, file, target, true);
    if (!placed) return failure(std::move(placed.error()));
    auto header = queue_file::decode_header(bytes);
    if (!header) return failure(std::move(header.error()));
    return *header;
}

/// Makes a complete file in tmp/ durable in `target`. On error it does not exist any more.
Result<void> Spool::place(QueueId id, int file, Folder target, bool sync) {
    const std::string name = id.text();
    const Fd& folder = folder_of(id, target);
    auto refuse = [&](const char* what, const Fd& place) {
        auto error = system_failure(what, errno);
        // A failed write or sync is never repeated: the kernel may have dropped the data and would then
        // report success. The file goes, and the sender keeps the message.
        static_cast<void>(::unlinkat(place.get(), name.c_str(), 0));
        return error;
    };
    // Renamed before the sync, because the one sync then makes data, inode and name durable together; the
    // other order lost the name in power cuts. Never onto another message, though ids do not repeat.
    if (::renameat2(tmp_.get(), name.c_str(), folder.get(), name.c_str(), RENAME_NOREPLACE) != 0) {
        return refuse("rename from tmp/", tmp_);
    }
    if (!sync) return {};
    // fsync, not fdatasync: the latter need not write the name and lost it on ext4. It is the last step.
    if (sync_meter_.sync(file) != 0) return refuse("fsync", folder);
    // Only where the file system does not make the name durable with the file (queue_directory_sync).
    if (sync_directory_ && sync_meter_.sync(folder.get()) != 0) return refuse("fsync of the folder", folder);
    return {};
}

Result<Spool::Committed> Spool::commit_message(QueueId id, const wire::Envelope& envelope,
                                               std::string_view content, Folder target) {
    auto encoded = queue_file::encode_complete(id, envelope, content);
    if (!encoded) return failure(std::move(encoded.error()));
    auto file = create_in_tmp(id);
    if (!file) return failure(std::move(file.error()));
    auto written = write_all_at(*file, encoded->bytes, 0);
    if (!written) {
        discard(id);
        return failure(std::move(written.error()));
    }
    auto placed = place(id, file->get(), target, true);
    if (!placed) return failure(std::move(placed.error()));
    return Committed{encoded->header, std::move(*file)};
}

bool Spool::exists(QueueId id) const {
    const std::string name = id.text();
    const Fd& cur = cur_[slice_of(id)];
    for (const Fd* folder : {&new_, &cur, &hold_, &failed_, &corrupt_}) {
        if (::faccessat(folder->get(), name.c_str(), F_OK, 0) == 0) return true;
    }
    return false;
}

/// Whether a message that is there is complete; elsewhere than in new/ each is.
Result<bool> Spool::is_whole(QueueId id) const {
    if (::faccessat(new_.get(), id.text().c_str(), F_OK, 0) != 0) return true;
    const auto loaded = load(id, Folder::New, true);
    if (!loaded && loaded.error().temporary()) return failure(loaded.error());
    return loaded.has_value();
}

Result<Fd> Spool::settle(QueueId id, std::string_view file, bool sync) {
    if (exists(id)) {
        auto whole = is_whole(id);
        if (!whole) return failure(std::move(whole.error()));
        // What the intake journal says of it is older then.
        if (*whole) return Fd();
        // A power cut came between the name and the sync that makes it durable with what is in the file.
        log::warning("incomplete_file_replaced").add("id", id.text());
        if (::unlinkat(new_.get(), id.text().c_str(), 0) != 0) return system_failure("unlink", errno);
    }
    auto made = create_in_tmp(id);
    if (!made) return made;
    auto written = write_all_at(*made, file, 0);
    if (!written) {
        discard(id);
        return failure(std::move(written.error()));
    }
    auto placed = place(id, made->get(), Folder::New, sync);
    if (!placed) return failure(std::move(placed.error()));
    return made;
}

Result<void> Spool::sync_everything() {
    if (::syncfs(root_.get()) != 0) return system_failure("syncfs", errno);
    return {};
}

Result<void> Spool::append_journal(QueueId id, const Fd& file, std::uint64_t& end,
                                   const std::vector<wire::JournalRecord>& records) {
    std::string bytes;
    for (const auto& record : records) {
        auto appended = queue_file::append_record(record, *key_, id, end + bytes.size(), bytes);
        if (!appended) return failure(std::move(appended.error()));
    }
    // At a place of our own counting, not at the end of the file: what somebody else appended is overwritten.
    // Not synced: what a power cut takes away is tried again.
    auto written = write_all_at(file, bytes, end);
    if (!written) return failure(std::move(written.error()));
    end += bytes.size();
    return {};
}

Result<void> Spool::wait_until(QueueId id, Folder folder, const Fd& file, UnixMillis next_attempt,
                               std::uint32_t hint) {
    // The time first, then the name: a file in cur/ always has its time, so that a restart need not open it.
    std::array<timespec, 2> times = {timespec{0, UTIME_OMIT}, to_timespec(next_attempt)};
    times[1].tv_nsec += static_cast<long>(hint);
    if (::futimens(file.get(), times.data()) != 0) return system_failure("futimens", errno);
    if (folder == Folder::Cur) return {};
    return move(id, folder, cur_[slice_of(id)]);
}

Result<void> Spool::move(QueueId id, Folder folder, const Fd& target) {
    std::string name = id.text();
    // Not synced: after a power cut the file has the old name or the new one, and either is right.
    if (::renameat2(folder_of(id, folder).get(), name.c_str(), target.get(), name.c_str(),
                    RENAME_NOREPLACE) != 0) {
        return system_failure("rename " + name, errno);
    }
    return {};
}

Result<void> Spool::remove(QueueId id, Folder folder) {
    // Not synced: a message that comes back after a power cut is delivered twice, not lost.
    if (::unlinkat(folder_of(id, folder).get(), id.text().c_str(), 0) != 0 && errno != ENOENT) {
        return system_failure("unlink " + id.text(), errno);
    }
    return {};
}

Result<std::vector<QueueId>> Spool::kept(Folder folder) const {
    Directory entries = list(folder_of(QueueId(), folder));
    if (!entries) return system_failure("read the folder", errno);
    std::vector<QueueId> ids;
    while (const dirent* entry = ::readdir(entries.get())) {
        if (auto id = QueueId::parse(entry->d_name)) ids.push_back(*id);
    }
    std::sort(ids.begin(), ids.end());
    return ids;
}

Result<void> Spool::release(QueueId id) {
    // Its content, too: a crash may have interrupted the commit after the rename, when nobody had been told
    // of it.
    auto loaded = load(id, Folder::Hold, true);
    if (!loaded) {
        if (!loaded.error().temporary()) static_cast<void>(move_to_corrupt(id, Folder::Hold));
        return failure(std::move(loaded.error()));
    }
    auto moved = move(id, Folder::Hold, new_);
    if (!moved) return moved;
    // So that a power cut does not put back what the administrator believes to be on its way. If it fails the
    // message is on its way all the same, and at worst it is in hold/ once more.
    if (sync_meter_.sync(loaded->file.get()) != 0 || (sync_directory_ && sync_meter_.sync(new_.get()) != 0)) {
        log::error("cannot_sync_released_message").add("id", id.text()).add("errno", errno);
    }
    return {};
}

Result<void> Spool::move_to_failed(QueueId id, Folder folder) {
    return move(id, folder, failed_);
}

Result<void> Spool::move_to_corrupt(QueueId id, Folder folder) {
    return move(id, folder, corrupt_);
}

Result<Spool::Loaded> Spool::load(QueueId id, Folder folder, bool verify) const {
    auto file = open_writable(id, folder);
    if (!file) return failure(std::move(file.error()));
    auto contents = queue_file::read_queue_file(*file, key_);
    if (!contents) return failure(std::move(contents.error()));
    if (contents->header.id != id)
        return permanent("the file is named " + id.text() + " but says it is another");
    if (verify) {
        auto verified = queue_file::verify_content(*file, contents->header);
        if (!verified) return failure(std::move(verified.error()));
    }
    return Loaded{std::move(*contents), std::move(*file)};
}

Result<Spool::Loaded> Spool::take_up(QueueId id, Folder folder, bool verify) {
    auto loaded = load(id, folder, verify);
    if (!loaded) return loaded;
    // Behind a record that a power cut tore there may be whole ones of the same time: pages are written in
    // any order. They would count again as soon as new records ended exactly where one of them begins.
    struct stat status {};
    if (::fstat(loaded->file.get(), &status) != 0) return system_failure("fstat", errno);
    const auto size = static_cast<std::uint64_t>(status.st_size);
    const std::uint64_t end = loaded->contents.journal_end;
    if (size > end) {
        if (::ftruncate(loaded->file.get(), static_cast<off_t>(end)) != 0)
            return system_failure("ftruncate", errno);
        log::warning("journal_cut").add("id", id.text()).add("bytes", size - end);
    }
    // The process that committed it may have ended between rename and sync. It is complete now, in memory; a
    // power cut must not find it in cur/ with a hole that nobody looks for there.
    if (verify && sync_meter_.sync(loaded->file.get()) != 0) return system_failure("fsync", errno);
    return loaded;
}

Result<Fd> Spool::open_readable(QueueId id, Folder folder) const {
    return open_in(folder_of(id, folder), id, O_RDONLY);
}

Result<Fd> Spool::open_writable(QueueId id, Folder folder) const {
    return open_in(folder_of(id, folder), id, O_RDWR);
}

Result<Fd> Spool::open_kept(QueueId id) const {
    for (const Fd* folder : {&hold_, &failed_, &corrupt_}) {
        auto file = open_in(*folder, id, O_RDONLY);
        if (file) return file;
    }
    return permanent("no message " + id.text());
}

void Spool::empty_tmp() {
    Directory directory = list(tmp_);
    if (!directory) return;
    while (const dirent* entry = ::readdir(directory.get())) {
        // Nothing here was acknowledged: whoever was sending it still has it.
        if (!is_dot(entry->d_name)) static_cast<void>(::unlinkat(tmp_.get(), entry->d_name, 0));
    }
}

Result<void> Spool::scan_folder(const Fd& directory, Folder folder,
                                const std::function<void(const Found&)>& found) {
    Directory entries = list(directory);
    if (!entries) return system_failure("read spool", errno);
    while (true) {
        errno = 0;
        const dirent* entry = ::readdir(entries.get());
        // Half a list would leave the other messages alone until the next start.
        if (entry == nullptr && errno != 0) return system_failure("read spool", errno);
        if (entry == nullptr) break;
        if (is_dot(entry->d_name)) continue;
        auto id = QueueId::parse(entry->d_name);
        if (!id) {
            log::warning("strange_file_in_the_spool").add("name", std::string_view(entry->d_name));
            continue;
        }
        Found message;
        message.id = *id;
        message.folder = folder;
        if (folder == Folder::Cur) {
            struct stat status {};
            // Without its time it is due now; what is wrong with it is found when it is read.
            if (::fstatat(directory.get(), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
                message.due = to_millis(status.st_mtim);
                message.hint = hint_in(status);
            }
        }
        found(message);
    }
    return {};
}

Result<void> Spool::scan(const std::function<void(const Found&)>& found) {
    auto scanned = scan_folder(new_, Folder::New, found);
    if (!scanned) return scanned;
    for (const auto& slice : cur_) {
        scanned = scan_folder(slice, Folder::Cur, found);
        if (!scanned) return scanned;
    }
    return {};
}

Result<Spool::FreeSpace> Spool::free_space() const {
    struct statvfs status {};
    if (::fstatvfs(root_.get(), &status) != 0) return system_failure("statvfs", errno);
    FreeSpace space;
    space.bytes = static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
    space.total_bytes = static_cast<std::uint64_t>(status.f_blocks) * status.f_frsize;
    space.inodes = status.f_favail;
    space.total_inodes = status.f_files;
    space.read_only = (status.f_flag & ST_RDONLY) != 0;
    return space;
}

}  // namespace postrider::queue_manager
