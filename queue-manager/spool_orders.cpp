// Orders of an administrator: what happens to the files.
//
// An order is one record in the journal of the message, then perhaps one rename, then one fsync. What can be
// there after a crash between any two of them (a power cut may also take back what was not synced):
//
//     record              The order is known and the file still where it was. HOLD: when the message is read
//                         next it is moved to hold/ before anything else. RELEASE: it lies in hold/ without
//                         an order that keeps it there, is shown so, and can be released again. REQUEUE: it
//                         lies in failed/ and can be requeued again. FAIL, REROUTE: they need no rename.
//     record, rename      Done, but a power cut may take either back, and each alone is one of the above, or:
//                         in hold/ without the record: held, nobody knows by whom; in cur/ with an old HOLD:
//                         it goes back to hold/; in cur/ with nothing but failures: it goes back to failed/.
//     record, rename,     Durable. Only now does anyone hear of it.
//     fsync
//
// In each case the file is in exactly one folder, whole, and with a journal that knows who has the message
// already. A torn record is none. To delete is one unlink and one fsync of the folder; before the latter a
// power cut brings the message back, and nobody was told that it is gone. One in the intake journal becomes a
// file first, and the entry that says so is not synced: a power cut can bring it back even later.

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "libcommon/log/log.h"
#include "queue-manager/spool.h"

namespace postrider::queue_manager {

namespace {

/// Where the order leaves a message that is in `folder`.
Folder target_of(const wire::OrderRecord& order, Folder folder, const queue_file::JournalState& journal) {
    switch (order.action()) {
        case wire::OrderRecord::HOLD:
            return Folder::Hold;
        case wire::OrderRecord::RELEASE:
        case wire::OrderRecord::FAIL:
        case wire::OrderRecord::REQUEUE: {
            if (folder == Folder::New || folder == Folder::Cur) return folder;
            const bool untouched = journal.attempts() == 0 && journal.deliveries().empty();
            return untouched ? Folder::New : Folder::Cur;
        }
        default:
            return folder;
    }
}

}  // namespace

Result<Folder> Spool::carry_out(QueueId id, Folder folder, bool verify, const wire::OrderRecord& order) {
    auto loaded = load(id, folder, verify);
    if (!loaded) return failure(std::move(loaded.error()));
    std::vector<wire::JournalRecord> records(1);
    *records.front().mutable_order() = order;
    std::uint64_t end = loaded->contents.journal_end;
    auto written = append_journal(id, loaded->file, end, records);
    if (!written) return failure(std::move(written.error()));
    const Folder target = target_of(order, folder, loaded->contents.journal);
    if (target == Folder::Cur) {
        // The time before the name, as in wait_until(); writing the record has changed it anyway.
        std::array<timespec, 2> times = {timespec{0, UTIME_OMIT}, to_timespec(order.time_ms())};
        if (::futimens(loaded->file.get(), times.data()) != 0) return system_failure("futimens", errno);
    }
    if (target != folder) {
        auto moved = move(id, folder, folder_of(id, target));
        if (!moved) return failure(std::move(moved.error()));
    }
    // Makes record and name durable together, as with a commit. If it fails the order is carried out all the
    // same, as far as this process can see; only a power cut could undo it.
    if (sync_meter_.sync(loaded->file.get()) != 0 ||
        (sync_directory_ && sync_meter_.sync(folder_of(id, target).get()) != 0)) {
        log::error("cannot_sync_order").add("id", id.text()).add("errno", errno);
    }
    return target;
}

Result<void> Spool::remove_durably(QueueId id, Folder folder) {
    const Fd& place = folder_of(id, folder);
    if (::unlinkat(place.get(), id.text().c_str(), 0) != 0) {
        if (errno == ENOENT) return permanent("there is no message " + id.text());
        return system_failure("unlink " + id.text(), errno);
    }
    // What an administrator threw away must not come back.
    if (sync_meter_.sync(place.get()) != 0) return system_failure("fsync of the folder", errno);
    return {};
}

Result<void> Spool::move_to_hold(QueueId id, Folder folder) {
    return move(id, folder, hold_);
}

}  // namespace postrider::queue_manager
