#pragma once

#include <array>
#include <cstdint>
#include <ctime>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/clock.h"
#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"
#include "libcommon/ipc/envelope.pb.h"
#include "libcommon/ipc/journal.pb.h"
#include "libcommon/queue_file/queue_file.h"
#include "queue-manager/sync_meter.h"
#include "queue-manager/waiting_index.h"

namespace postrider::queue_manager {

/// The spool directory: every path and every durability call of the queue is here.
///
///     key             secret of the journals (queue_file::JournalKey)
///     tmp/            being received; emptied at start
///     new/            committed, never deferred
///     cur/0 .. cur/f  deferred and waiting; a file's mtime is the time of its next attempt
///     hold/           in quarantine, or held by an administrator
///     suspended       the domains that are suspended (suspensions.h)
///     failed/         could neither be delivered nor returned
///     corrupt/        did not parse; never deleted by the suite
///     journal/        small messages before their first attempt has ended (intake_journal.h)
///
/// What a crash or power cut can leave at each step, and why nothing is lost; postrider-queue-file(5) has the
/// same table with the system calls of each change and the whole argument:
///
///     create            file in tmp/: removed at start. Nobody was told that it exists.
///     complete, rename  file in new/, not durable: after a power cut it may be missing, or incomplete, which
///                       its header proves. The sender was not answered and sends again. After a crash of the
///                       process alone it is complete and delivered; the sender may send a second copy.
///     fsync             durable under its name. Only now is the sender answered.
///     load of new/      synced before anything is done with it: a crash may have interrupted its commit, and
///                       once it is in cur/ its content is not looked at again.
///     journal append    lost or torn by a power cut: the deliveries it tells of may be made again.
///     to cur/           old or new name, never both and never none: rename is atomic.
///     release           as commit: the file is in hold/ or in new/, and complete in either.
///     to failed/        as to cur/, after the journal has the failure.
///     order             of an administrator: spool_orders.cpp has a table of its own.
///     unlink            undone by a power cut: delivered again. The journal is in the file by then unless
///     the
///                       first attempt finished the message.
///
/// Functions block on the file system and may be called from several threads; only commit(), commit_message()
/// and load() may take long. All errors are Temporary unless said otherwise.
class Spool {
  public:
    /// Opens the spool, which belongs to this process alone for as long as the object lives, and creates
    /// missing folders and the key. `sync_directory`: sync the folder, too, with every commit, for file
    /// systems that do not make a name durable with its file. Throws std::runtime_error when the spool cannot
    /// be used.
    Spool(const std::string& path, bool sync_directory);

    /// A message being received.
    struct Incoming {
        queue_file::Header header;
        Fd file;    ///< ours: to complete the header and to write the journal
        Fd writer;  ///< for the content: write only, appending, a file description of its own
    };
    /// Creates a file in tmp/ and writes its beginning. Error: disk full, or an envelope too long
    /// (Permanent).
    [[nodiscard]] Result<Incoming> create(QueueId id, const wire::Envelope& envelope);

    /// Makes a received message durable in new/, or in hold/. On error it does not exist any more. `file` is
    /// the Incoming's. Returns the completed header. Blocks for the sync: called on a thread of the pool.
    [[nodiscard]] Result<queue_file::Header> commit(const queue_file::Header& receiving, int file,
                                                    std::uint64_t content_length, std::uint64_t content_xxh3,
                                                    Folder target = Folder::New);

    /// A message that has been in the intake journal becomes a file in new/: `file` is all of it. Durable
    /// when it returns, unless `sync` is false. One that there is already is left alone, unless it is not
    /// complete: then it is replaced. Returns the file, to write the journal to; nothing if it was left
    /// alone. Called on a thread of the pool.
    [[nodiscard]] Result<Fd> settle(QueueId id, std::string_view file, bool sync = true);
    /// Makes all that was written so far durable.
    [[nodiscard]] Result<void> sync_everything();
    [[nodiscard]] const Fd& journal_folder() const { return journal_; }
    [[nodiscard]] const queue_file::JournalKey& key() const { return *key_; }

    /// The messages in a folder, which is hold/, failed/ or corrupt/, in the order of their ids.
    [[nodiscard]] Result<std::vector<QueueId>> kept(Folder folder) const;
    /// Moves a message from hold/ to new/, durably. Error: it is still where it was; Permanent if it is no
    /// complete queue file, and then it was moved to corrupt/. Called on a thread of the pool.
    [[nodiscard]] Result<void> release(QueueId id);

    /// Writes an administrator's order into the journal of a message, moves the file where it then belongs,
    /// and makes that durable; returns the folder. Error: nothing was changed, or what was makes no
    /// difference (spool_orders.cpp). `verify` as for load(). Called on a thread of the pool.
    [[nodiscard]] Result<Folder> carry_out(QueueId id, Folder folder, bool verify,
                                           const wire::OrderRecord& order);
    /// Removes a message for an administrator, durably. Error: Permanent if there is none. Called on a thread
    /// of the pool.
    [[nodiscard]] Result<void> remove_durably(QueueId id, Folder folder);
    /// Moves a message to hold/ whose journal says that it belongs there.
    [[nodiscard]] Result<void> move_to_hold(QueueId id, Folder folder);

    /// Reads a small file of the spool's own, which is no message; nullopt if there is none.
    [[nodiscard]] Result<std::optional<std::string>> read_note(const std::string& name) const;
    /// Replaces it at once and durably: after a crash it is the old one or the new one. On error it is the
    /// old one, or the new one but perhaps not durable. Called on a thread of the pool.
    [[nodiscard]] Result<void> replace_note(const std::string& name, const std::string& text);

    /// A message whose content is in memory: created, written at once and committed. Called on a thread of
    /// the pool.
    struct Committed {
        queue_file::Header header;
        Fd file;
    };
    [[nodiscard]] Result<Committed> commit_message(QueueId id, const wire::Envelope& envelope,
                                                   std::string_view content, Folder target = Folder::New);

    /// Forgets a message that was not committed.
    void discard(QueueId id);

    /// Appends records at `end`, which moves behind them. On error nothing was appended.
    [[nodiscard]] Result<void> append_journal(QueueId id, const Fd& file, std::uint64_t& end,
                                              const std::vector<wire::JournalRecord>& records);

    /// Sets the time of the next attempt, and with it a hint of the topics (topic_hint.h), and moves the file
    /// to cur/ if it is in new/.
    [[nodiscard]] Result<void> wait_until(QueueId id, Folder folder, const Fd& file, UnixMillis next_attempt,
                                          std::uint32_t hint = 0);

    /// Removes a message that is finished.
    [[nodiscard]] Result<void> remove(QueueId id, Folder folder);
    /// Keeps a message that could neither be delivered nor returned, in failed/.
    [[nodiscard]] Result<void> move_to_failed(QueueId id, Folder folder);
    /// Keeps a file that is no queue file, in corrupt/.
    [[nodiscard]] Result<void> move_to_corrupt(QueueId id, Folder folder);

    /// A message read back from its file.
    struct Loaded {
        queue_file::QueueFile contents;
        Fd file;
    };
    /// Opens and checks a file. `verify`: also the content, for a file whose commit a crash may have
    /// interrupted. Error: Permanent when it is no complete queue file. Called on a thread of the pool.
    [[nodiscard]] Result<Loaded> load(QueueId id, Folder folder, bool verify) const;
    /// The same for a message that is worked on from now, by one caller at a time: what lies behind the last
    /// valid record of the journal is cut off, and a file that had to be verified is made durable.
    [[nodiscard]] Result<Loaded> take_up(QueueId id, Folder folder, bool verify);

    /// Everything that a file says of its message, whichever folder it is in.
    struct History {
        wire::Envelope envelope;
        std::uint64_t size = 0;
        std::vector<wire::JournalRecord> records;
    };
    /// Error: as of load(). Called on a thread of the pool.
    [[nodiscard]] Result<History> history(QueueId id, Folder folder) const;

    /// Opens a file for reading, for a delivery agent or an administrator.
    [[nodiscard]] Result<Fd> open_readable(QueueId id, Folder folder) const;
    /// The same for a file in hold/, failed/ or corrupt/.
    [[nodiscard]] Result<Fd> open_kept(QueueId id) const;
    /// Opens a file for the journal again.
    [[nodiscard]] Result<Fd> open_writable(QueueId id, Folder folder) const;

    /// A message found at start.
    struct Found {
        QueueId id;
        Folder folder = Folder::New;
        UnixMillis due = 0;  ///< 0 in new/
        std::uint32_t hint = 0;
    };
    /// Empties tmp/, at the start and before all else: what a process left there that is gone was never
    /// committed.
    void empty_tmp();
    /// Gives every message of new/ and cur/ to `found`. Names and times only: nothing is opened. Files with
    /// other names are logged and left alone.
    [[nodiscard]] Result<void> scan(const std::function<void(const Found&)>& found);

    /// What is left of the file system.
    struct FreeSpace {
        std::uint64_t bytes = 0;
        std::uint64_t total_bytes = 0;
        std::uint64_t inodes = 0;
        std::uint64_t total_inodes = 0;  ///< 0 where the file system has no fixed number
        bool read_only = false;          ///< mounted so, or made so by the kernel after an error
    };
    [[nodiscard]] Result<FreeSpace> free_space() const;

    [[nodiscard]] SyncMeter& sync_meter() { return sync_meter_; }
    /// The syncs since the start.
    [[nodiscard]] SyncMeter::Counts syncs() const { return sync_meter_.counts(); }

  private:
    [[nodiscard]] const Fd& folder_of(QueueId id, Folder folder) const;
    [[nodiscard]] Result<Fd> open_in(const Fd& directory, QueueId id, int flags) const;
    [[nodiscard]] Result<void> move(QueueId id, Folder folder, const Fd& target);
    [[nodiscard]] Result<Fd> create_in_tmp(QueueId id) const;
    [[nodiscard]] Result<void> place(QueueId id, int file, Folder target, bool sync);
    [[nodiscard]] bool exists(QueueId id) const;
    [[nodiscard]] Result<bool> is_whole(QueueId id) const;
    void lock();
    void sync_folders();
    void load_key();
    [[nodiscard]] Result<void> scan_folder(const Fd& directory, Folder folder,
                                           const std::function<void(const Found&)>& found);

    Fd root_;
    Fd tmp_;
    Fd new_;
    std::array<Fd, 16> cur_;
    Fd hold_;
    Fd failed_;
    Fd corrupt_;
    Fd journal_;
    bool sync_directory_;
    SyncMeter sync_meter_;
    std::optional<queue_file::JournalKey> key_;
};

/// A time as the file system has it.
[[nodiscard]] timespec to_timespec(UnixMillis time);

/// A file time, in which a message in cur/ has the time of its next attempt.
[[nodiscard]] UnixMillis to_millis(const timespec& time);

/// Whether `queue_directory_sync auto` means yes for the file system of `path`: all but ext4, XFS and btrfs,
/// which make the name durable with the file (tried with power cuts).
[[nodiscard]] bool needs_directory_sync(const std::string& path);

}  // namespace postrider::queue_manager
