#include "queue-manager/kept.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <functional>
#include <optional>
#include <utility>

#include "libcommon/log/log.h"
#include "queue-manager/admin.h"
#include "queue-manager/selector.h"

namespace postrider::queue_manager {

namespace {

/// What can be told of a file that is no queue file: its size, and when it came by its name.
std::optional<wire::QueueEntry> unreadable(const Spool& spool, QueueId id, Folder folder,
                                           std::string_view reason) {
    auto file = spool.open_readable(id, folder);
    struct stat status {};
    if (!file || ::fstat(file->get(), &status) != 0) return std::nullopt;
    wire::QueueEntry entry;
    entry.set_queue_id(id.text());
    entry.set_state("corrupt");
    entry.set_size(static_cast<std::uint64_t>(status.st_size));
    entry.set_arrival_ms(id.milliseconds());
    entry.set_why(std::string(reason));
    entry.set_quarantine_reason(std::string(reason));
    return entry;
}

std::string why_held(const Message& message) {
    if (message.hold_order) return fmt::format("held by an administrator (uid {})", message.hold_order->by());
    return "held; a release or hold was interrupted";
}

void add_state(const Message& message, Folder folder, wire::QueueEntry& entry) {
    if (folder == Folder::Failed) {
        entry.set_state("failed");
        entry.set_why("neither delivered nor returned");
    } else if (folder == Folder::Corrupt) {
        entry.set_state("corrupt");
        entry.set_why("it can be read now");
    } else if (message.hold_order || message.envelope.quarantine_rule().empty()) {
        entry.set_state("held");
        entry.set_why(why_held(message));
    } else {
        entry.set_state("quarantined");
        entry.set_why(message.envelope.quarantine_reason());
        entry.set_quarantine_rule(message.envelope.quarantine_rule());
        entry.set_quarantine_reason(message.envelope.quarantine_reason());
        entry.set_client_address(message.envelope.client_address());
    }
}

/// Nothing if it is not there any more.
std::optional<wire::QueueEntry> read_one(const Spool& spool, QueueId id, Folder folder) {
    auto loaded = spool.load(id, folder, false);
    if (!loaded) {
        if (loaded.error().temporary()) return std::nullopt;
        return unreadable(spool, id, folder, loaded.error().text);
    }
    const Message message(std::move(loaded->contents), folder, Fd());
    wire::QueueEntry entry = entry_of(message);
    entry.set_next_attempt_ms(0);
    add_state(message, folder, entry);
    return entry;
}

}  // namespace

async::Task<std::vector<QueueId>> kept_candidates(async::ThreadPool& pool, const Spool& spool, Folder folder,
                                                  wire::Selector selector) {
    if (!selector.queue_ids().empty()) co_return ids_of(selector);
    std::function<Result<std::vector<QueueId>>()> work = [&spool, folder] { return spool.kept(folder); };
    auto kept = co_await pool.run(std::move(work));
    if (!kept) co_return std::vector<QueueId>();
    if (*kept) co_return std::move(**kept);
    log::error("cannot_read_folder").add("reason", kept->error().text);
    co_return std::vector<QueueId>();
}

async::Task<Batch> read_kept(async::ThreadPool& pool, const Spool& spool, Folder folder,
                             std::vector<QueueId> ids) {
    std::function<Batch()> work = [&spool, folder, ids] {
        return read_batch(ids.size(),
                          [&](std::size_t number) { return read_one(spool, ids[number], folder); });
    };
    auto read = co_await pool.run(std::move(work));
    if (read) co_return std::move(*read);
    Batch nothing;
    nothing.read = ids.size();
    co_return nothing;
}

Folder folder_of_place(wire::Place place) {
    if (place == wire::PLACE_FAILED) return Folder::Failed;
    return place == wire::PLACE_CORRUPT ? Folder::Corrupt : Folder::Hold;
}

}  // namespace postrider::queue_manager
