#include "queue-manager/admin.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "libcommon/async/sync.h"
#include "libcommon/log/log.h"
#include "queue-manager/kept.h"
#include "queue-manager/selector.h"

namespace postrider::queue_manager {

namespace {

std::string_view state_name(Phase phase) {
    switch (phase) {
        case Phase::Waiting:
            return "waiting";
        case Phase::Ready:
        case Phase::InFlight:
        case Phase::Expanding:
            return "active";
        case Phase::Delivered:
            return "delivered";
        default:
            return "failed";
    }
}

std::string last_reply(const wire::DeliveryResult& result) {
    if (result.status().empty()) return result.text();
    return result.status() + " " + result.text();
}

struct OnDisk {
    QueueId id;
    Folder folder = Folder::New;
    UnixMillis parked_until = 0;  // of one that waits for a destination that is down
};

/// The listing of a message that is on disk only; nothing if it was delivered in the meantime. On a pool
/// thread.
std::optional<wire::QueueEntry> read_waiting(const Spool& spool, const OnDisk& message_on_disk,
                                             const Suspensions& suspensions) {
    const auto& [id, folder, parked_until] = message_on_disk;
    auto loaded = spool.load(id, folder, false);
    if (!loaded) return std::nullopt;
    struct stat status {};
    const bool timed = folder == Folder::Cur && ::fstat(loaded->file.get(), &status) == 0;
    Message message(std::move(loaded->contents), folder, std::move(loaded->file));
    // Its file does not know what the queue does.
    for (auto& delivery : message.deliveries) {
        delivery.suspended = suspensions.cover(delivery.delivery);
    }
    wire::QueueEntry entry = entry_of(message);
    // The journal knows the next attempt only of deliveries that were attempted; the file's time also holds
    // for one that waits because its destination is down, but not when that has been tried again meanwhile.
    const bool held = entry.state() == "held" || entry.state() == "suspended";
    if (timed && !held) entry.set_next_attempt_ms(to_millis(status.st_mtim));
    if (parked_until != 0) entry.set_next_attempt_ms(parked_until);
    if (entry.state() != "new" && !held) entry.set_state("waiting");
    return entry;
}

}  // namespace

wire::QueueEntry entry_of(const Message& message) {
    wire::QueueEntry entry;
    entry.set_queue_id(message.id().text());
    entry.set_sender(message.envelope.sender());
    entry.set_size(message.header.content_length);
    entry.set_arrival_ms(message.arrived);
    UnixMillis next = message.next_due();
    entry.set_next_attempt_ms(next == kNever ? 0 : next);
    for (std::uint32_t index : message.unresolved) {
        auto* recipient = entry.add_recipients();
        recipient->set_address(message.envelope.recipients(static_cast<int>(index)).address());
        recipient->set_state("new");
        recipient->set_last_reply(message.resolve_error);
    }
    std::uint32_t attempts = message.resolve_attempts;
    for (const auto& delivery : message.deliveries) {
        auto* recipient = entry.add_recipients();
        recipient->set_address(delivery.delivery.recipient());
        const bool held = delivery.held && delivery.phase == Phase::Waiting;
        const bool suspended = delivery.suspended && delivery.phase == Phase::Waiting;
        recipient->set_state(held        ? "held"
                             : suspended ? "suspended"
                                         : std::string(state_name(delivery.phase)));
        recipient->set_last_reply(last_reply(delivery.last_result));
        recipient->set_next_hop(delivery.delivery.next_hop());
        attempts = std::max(attempts, delivery.attempts);
    }
    entry.set_attempts(attempts);
    bool untouched = message.folder != Folder::Cur && attempts == 0;
    entry.set_state(message.busy() ? "active" : untouched ? "new" : "waiting");
    if (message.is_held()) {
        entry.set_state("held");
        entry.set_why("its route holds it until its domain is flushed");
        entry.set_next_attempt_ms(0);
    } else if (message.is_suspended()) {
        entry.set_state("suspended");
        entry.set_why("its domain is suspended");
        entry.set_next_attempt_ms(0);
    }
    return entry;
}

async::Task<std::vector<QueueId>> Admin::candidates(wire::Selector selector) {
    if (!selector.queue_ids().empty()) co_return ids_of(selector);
    if (!selector.domain().empty()) co_return queue_.perhaps_about(selector.domain(), selector.subdomains());
    // To sort a million takes a tenth of a second, in which the loop would do nothing else.
    auto ids = std::make_shared<std::vector<QueueId>>(queue_.all());
    std::function<bool()> work = [ids] {
        std::sort(ids->begin(), ids->end());
        return true;
    };
    auto sorted = co_await queue_.read_pool().run(std::move(work));
    // Without the pool nothing can be read either.
    if (!sorted) co_return std::vector<QueueId>();
    co_return std::move(*ids);
}

async::Task<Batch> Admin::read_entries(std::vector<QueueId> ids) {
    Batch batch;
    std::vector<OnDisk> on_disk;
    for (std::size_t bytes = 0; batch.read < ids.size() && !fills_batch(bytes); ++batch.read) {
        const QueueId id = ids[batch.read];
        const Message* message = queue_.active(id);
        if (message != nullptr) {
            batch.entries.push_back(entry_of(*message));
            bytes += batch.entries.back().ByteSizeLong();
        } else if (auto folder = queue_.folder_of(id)) {
            const auto waiting = queue_.waiting().find(id);
            on_disk.push_back({id, *folder, waiting ? waiting->parked_until : 0});
        }
    }
    if (!on_disk.empty()) {
        std::function<Batch()> work = [spool = &spool_, on_disk, suspensions = queue_.suspensions()] {
            return read_batch(on_disk.size(), [&](std::size_t number) {
                return read_waiting(*spool, on_disk[number], suspensions);
            });
        };
        auto read = co_await queue_.read_pool().run(std::move(work));
        if (read) std::move(read->entries.begin(), read->entries.end(), std::back_inserter(batch.entries));
        if (read && read->read < on_disk.size()) {
            // Those in memory that come behind the first one left unread are for the next batch, too.
            const QueueId unread = on_disk[read->read].id;
            batch.read = static_cast<std::size_t>(std::find(ids.begin(), ids.end(), unread) - ids.begin());
            std::erase_if(batch.entries, [name = unread.text()](const wire::QueueEntry& entry) {
                return entry.queue_id() >= name;
            });
        }
    }
    std::sort(batch.entries.begin(), batch.entries.end(),
              [](const auto& left, const auto& right) { return left.queue_id() < right.queue_id(); });
    co_return batch;
}

async::Task<void> Admin::list(QueuePeer& peer, std::uint64_t request, wire::ListQueue asked) {
    const wire::Selector& selector = asked.selector();
    std::vector<QueueId> ids;
    if (asked.place() == wire::PLACE_QUEUE) ids = co_await candidates(selector);
    for (std::size_t first = 0; first < ids.size();) {
        std::vector<QueueId> next = batch_of(ids, first);
        Batch batch = co_await read_entries(std::move(next));
        first += batch.read;
        std::erase_if(batch.entries,
                      [&](const auto& entry) { return !matches(entry, selector, queue_.now()); });
        bool sent = co_await post_listing(loop_, peer, request, std::move(batch.entries), true);
        if (!sent) co_return;
    }
    const Folder folder = folder_of_place(asked.place());
    const std::vector<QueueId> kept = co_await kept_candidates(queue_.read_pool(), spool_, folder, selector);
    for (std::size_t first = 0; first < kept.size();) {
        std::vector<QueueId> next = batch_of(kept, first);
        Batch batch = co_await read_kept(queue_.read_pool(), spool_, folder, std::move(next));
        first += batch.read;
        std::erase_if(batch.entries,
                      [&](const auto& entry) { return !matches(entry, selector, queue_.now()); });
        bool sent = co_await post_listing(loop_, peer, request, std::move(batch.entries), true);
        if (!sent) co_return;
    }
    static_cast<void>(co_await post_listing(loop_, peer, request, std::vector<wire::QueueEntry>(), false));
}

void Admin::open_file(QueuePeer& peer, std::uint64_t request, const wire::OpenQueueFile& frame) {
    auto id = QueueId::parse(frame.queue_id());
    if (!id) return peer.fail(request, id.error());
    const Message* message = queue_.active(*id);
    auto folder = queue_.folder_of(*id);
    Result<Fd> file = message != nullptr ? queue_.open_readable(*message)
                      : folder           ? spool_.open_readable(*id, *folder)
                                         : spool_.open_kept(*id);
    if (!file) return peer.fail(request, file.error());
    wire::QueueReply reply;
    reply.set_id(request);
    reply.mutable_file()->set_queue_id(id->text());
    peer.reply(reply, std::move(*file));
}

async::Task<void> Admin::flush(QueuePeer& peer, std::uint64_t request, wire::Flush asked,
                               async::Deadline answer_by) {
    const wire::Selector& selector = asked.selector();
    std::vector<QueueId> ids = co_await candidates(selector);
    const FlushScope scope(selector.domain(), selector.subdomains());
    // Messages whose listing need not be looked at are flushed without being read first.
    const bool by_id_only = !needs_listing(selector) && queue_.suspensions().empty();
    wire::Flushed counts;
    bool answered = false;
    const auto answer = [&](bool unfinished) {
        if (answered) return;
        answered = true;
        wire::QueueReply reply;
        reply.set_id(request);
        *reply.mutable_flushed() = counts;
        reply.mutable_flushed()->set_unfinished(unfinished);
        peer.reply(reply);
    };
    for (std::size_t first = 0; first < ids.size();) {
        std::vector<QueueId> batch = batch_of(ids, first);
        if (by_id_only) {
            first += batch.size();
            co_await async::next_turn(loop_);
        } else {
            Batch read = co_await read_entries(std::move(batch));
            first += read.read;
            batch.clear();
            for (const auto& entry : read.entries) {
                auto id = QueueId::parse(entry.queue_id());
                if (!id || !matches(entry, selector, queue_.now())) continue;
                if (entry.state() == "suspended")
                    counts.set_suspended(counts.suspended() + 1);
                else
                    batch.push_back(*id);
            }
        }
        for (QueueId id : batch) {
            const bool is_there =
                asked.dry_run() ? queue_.folder_of(id).has_value() : queue_.flush(id, scope);
            if (is_there) counts.set_messages(counts.messages() + 1);
        }
        if (answer_by && loop_.now() > *answer_by && first < ids.size()) answer(true);
    }
    if (!selector.queue_ids().empty()) {
        std::vector<QueueId> named = ids_of(selector);
        Batch held = co_await read_kept(queue_.read_pool(), spool_, Folder::Hold, std::move(named));
        counts.set_held(static_cast<std::uint64_t>(
            std::count_if(held.entries.begin(), held.entries.end(),
                          [&](const auto& entry) { return matches(entry, selector, queue_.now()); })));
    }
    log::info("flush")
        .add("by_uid", peer.credentials().uid)
        .add("login", asked.login())
        .add("selector", selector_text(selector))
        .add("dry_run", asked.dry_run())
        .add("messages", counts.messages())
        .add("held", counts.held())
        .add("suspended", counts.suspended());
    answer(false);
}

void Admin::status(QueuePeer& peer, std::uint64_t request) {
    wire::QueueReply reply;
    reply.set_id(request);
    auto add = [&](const char* name, std::uint64_t value) {
        auto* counter = reply.mutable_state()->add_counters();
        counter->set_name(name);
        counter->set_value(value);
    };
    const Counters& counters = queue_.counters();
    add("messages_active", queue_.active_count());
    add("messages_waiting", queue_.waiting().size());
    add("messages_unread", queue_.waiting().unknown());
    add("messages_open", intake_.open_messages());
    add("deliveries_ready", queue_.scheduler().ready());
    add("jobs_in_flight", dispatcher_.in_flight());
    add("agents", dispatcher_.agents());
    add("destinations", queue_.scheduler().destinations());
    add("destinations_down", queue_.scheduler().destinations_down());
    add("accepting", intake_.accepting() ? 1 : 0);
    add("committed_total", counters.committed);
    add("delivered_total", counters.delivered);
    add("relayed_total", counters.relayed);
    add("deferred_total", counters.deferred);
    add("failed_total", counters.failed);
    add("reports_total", counters.reports);
    add("reports_withheld_total", counters.reports_withheld);
    add("removed_total", counters.removed);
    add("corrupt_total", counters.corrupt);
    add("jobs_total", counters.jobs);
    add("jobs_lost_total", counters.lost_jobs);
    const IntakeJournal* journal = queue_.journal();
    add("journal_ready", journal != nullptr && journal->has_room(0) ? 1 : 0);
    add("journal_messages", journal != nullptr ? journal->messages() : 0);
    add("quarantined_total", counters.quarantined);
    add("quarantine_released_total", counters.released);
    const SyncMeter::Counts syncs = spool_.syncs();
    add("syncs_total", syncs.total);
    add("sync_errors_total", syncs.errors);
    add("sync_microseconds_total", syncs.microseconds);
    for (std::size_t i = 0; i < syncs.within.size(); ++i) {
        add(fmt::format("syncs_within_{}ms_total", SyncMeter::kBounds[i]).c_str(), syncs.within[i]);
    }
    peer.reply(reply);
}

}  // namespace postrider::queue_manager
