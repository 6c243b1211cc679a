#include "queue-manager/quarantine.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "libcommon/log/log.h"
#include "queue-manager/admin.h"

namespace postrider::queue_manager {

namespace {

constexpr std::size_t kQuarantineBatch = 64;

/// The listing of one message in hold/; nothing if it was released or deleted meanwhile.
std::optional<wire::QueueEntry> read_held(const Spool& spool, QueueId id) {
    auto loaded = spool.load(id, Folder::Hold, false);
    if (!loaded) {
        if (loaded.error().temporary()) return std::nullopt;
        // A file that cannot be read is shown all the same: it can be deleted by its id.
        wire::QueueEntry unreadable;
        unreadable.set_queue_id(id.text());
        unreadable.set_state("corrupt");
        unreadable.set_quarantine_reason(loaded.error().text);
        return unreadable;
    }
    const Message message(std::move(loaded->contents), Folder::Hold, Fd());
    wire::QueueEntry entry = entry_of(message);
    entry.set_state("quarantined");
    entry.set_next_attempt_ms(0);
    entry.set_quarantine_rule(message.envelope.quarantine_rule());
    entry.set_quarantine_reason(message.envelope.quarantine_reason());
    entry.set_client_address(message.envelope.client_address());
    return entry;
}

/// What is chosen by ids, or else all of hold/; on a pool thread.
std::vector<QueueId> held_candidates(const Spool& spool, const wire::Selector& selector) {
    if (selector.queue_ids().empty()) {
        auto held = spool.held();
        if (held) return std::move(*held);
        log::error("cannot_read_quarantine").add("reason", held.error().text);
        return {};
    }
    return ids_of(selector);
}

struct Outcome {
    QueueId id;
    Result<void> result;
};

}  // namespace

async::Task<std::vector<wire::QueueEntry>> Quarantine::matching(std::vector<QueueId> ids,
                                                                wire::Selector selector) {
    std::function<std::vector<wire::QueueEntry>()> work = [spool = &spool_, ids, selector] {
        std::vector<wire::QueueEntry> entries;
        for (QueueId id : ids) {
            auto entry = read_held(*spool, id);
            if (entry && matches(*entry, selector)) entries.push_back(std::move(*entry));
        }
        return entries;
    };
    auto read = co_await queue_.read_pool().run(std::move(work));
    if (!read) co_return std::vector<wire::QueueEntry>();
    co_return std::move(*read);
}

async::Task<void> Quarantine::serve(QueuePeer& peer, std::uint64_t request, wire::Quarantine asked) {
    std::function<std::vector<QueueId>()> work = [spool = &spool_, selector = asked.selector()] {
        return held_candidates(*spool, selector);
    };
    auto found = co_await queue_.read_pool().run(std::move(work));
    std::vector<QueueId> ids;
    if (found) ids = std::move(*found);
    if (asked.action() == wire::Quarantine::LIST) {
        co_await list(peer, request, asked.selector(), std::move(ids));
        co_return;
    }
    wire::QueueReply reply;
    reply.set_id(request);
    std::uint64_t matched = 0;
    std::uint64_t failed = 0;
    for (std::size_t first = 0; first < ids.size(); first += kQuarantineBatch) {
        const std::size_t last = std::min(ids.size(), first + kQuarantineBatch);
        std::vector<QueueId> batch(ids.begin() + static_cast<std::ptrdiff_t>(first),
                                   ids.begin() + static_cast<std::ptrdiff_t>(last));
        auto entries = co_await matching(std::move(batch), asked.selector());
        matched += entries.size();
        if (asked.dry_run() || entries.empty()) continue;
        auto changing = std::make_shared<Change>(loop_);
        changing->action = asked.action();
        changing->by = peer.credentials().uid;
        for (const auto& entry : entries)
            changing->ids.push_back(*QueueId::parse(entry.queue_id()));
        tasks_.spawn(change(changing));
        while (!changing->done)
            co_await changing->ended.wait();
        failed += changing->failed;
    }
    reply.mutable_quarantined()->set_messages(matched);
    reply.mutable_quarantined()->set_failed(failed);
    peer.reply(reply);
}

async::Task<void> Quarantine::list(QueuePeer& peer, std::uint64_t request, wire::Selector selector,
                                   std::vector<QueueId> ids) {
    wire::QueueReply reply;
    reply.set_id(request);
    reply.set_more(true);
    reply.mutable_listing();
    for (std::size_t first = 0; first < ids.size(); first += kQuarantineBatch) {
        const std::size_t last = std::min(ids.size(), first + kQuarantineBatch);
        std::vector<QueueId> batch(ids.begin() + static_cast<std::ptrdiff_t>(first),
                                   ids.begin() + static_cast<std::ptrdiff_t>(last));
        auto entries = co_await matching(std::move(batch), selector);
        for (auto& entry : entries) {
            for (auto& part : split_entry(std::move(entry))) {
                if (reply.ByteSizeLong() + part.ByteSizeLong() > ipc::kFrameTarget) {
                    bool sent = co_await post_when_read(loop_, peer, reply);
                    if (!sent) co_return;
                    reply.mutable_listing()->clear_entries();
                }
                *reply.mutable_listing()->add_entries() = std::move(part);
            }
        }
    }
    reply.set_more(false);
    static_cast<void>(co_await post_when_read(loop_, peer, reply));
}

async::Task<void> Quarantine::change(std::shared_ptr<Change> change) {
    const bool release = change->action == wire::Quarantine::RELEASE;
    std::function<std::vector<Outcome>()> work = [spool = &spool_, ids = change->ids, release] {
        std::vector<Outcome> outcomes;
        for (QueueId id : ids)
            outcomes.push_back({id, release ? spool->release(id) : spool->remove_held(id)});
        return outcomes;
    };
    auto outcomes = co_await queue_.sync_pool().run(std::move(work));
    if (!outcomes) change->failed = change->ids.size();
    for (const Outcome& outcome : outcomes ? *outcomes : std::vector<Outcome>()) {
        if (!outcome.result) {
            ++change->failed;
            log::error(release ? "cannot_release" : "cannot_delete")
                .add("id", outcome.id.text())
                .add("reason", outcome.result.error().text);
            continue;
        }
        log::info(release ? "released" : "deleted").add("id", outcome.id.text()).add("by_uid", change->by);
        if (release) queue_.released(outcome.id);
    }
    change->done = true;
    change->ended.notify_all();
}

}  // namespace postrider::queue_manager
