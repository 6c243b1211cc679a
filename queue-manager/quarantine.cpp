#include "queue-manager/quarantine.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "libcommon/log/log.h"
#include "queue-manager/kept.h"
#include "queue-manager/selector.h"

namespace postrider::queue_manager {

namespace {

struct Outcome {
    QueueId id;
    Result<void> result;
};

}  // namespace

async::Task<Batch> Quarantine::matching(std::vector<QueueId> ids, wire::Selector selector) {
    Batch batch = co_await read_kept(queue_.read_pool(), spool_, Folder::Hold, std::move(ids));
    // What an administrator holds is for the verbs of the queue.
    std::erase_if(batch.entries, [&](const auto& entry) {
        return entry.state() == "held" || !matches(entry, selector, queue_.now());
    });
    co_return batch;
}

async::Task<void> Quarantine::serve(QueuePeer& peer, std::uint64_t request, wire::Quarantine asked) {
    std::vector<QueueId> ids =
        co_await kept_candidates(queue_.read_pool(), spool_, Folder::Hold, asked.selector());
    if (asked.action() == wire::Quarantine::LIST) {
        co_await list(peer, request, asked.selector(), std::move(ids));
    } else {
        co_await change_all(peer, request, std::move(asked), std::move(ids));
    }
}

async::Task<void> Quarantine::list(QueuePeer& peer, std::uint64_t request, wire::Selector selector,
                                   std::vector<QueueId> ids) {
    for (std::size_t first = 0; first < ids.size();) {
        std::vector<QueueId> next = batch_of(ids, first);
        Batch batch = co_await matching(std::move(next), selector);
        first += batch.read;
        bool sent = co_await post_listing(loop_, peer, request, std::move(batch.entries), true);
        if (!sent) co_return;
    }
    static_cast<void>(co_await post_listing(loop_, peer, request, std::vector<wire::QueueEntry>(), false));
}

async::Task<void> Quarantine::change_all(QueuePeer& peer, std::uint64_t request, wire::Quarantine asked,
                                         std::vector<QueueId> ids) {
    wire::QueueReply reply;
    reply.set_id(request);
    wire::Quarantined& so_far = *reply.mutable_quarantined();
    for (std::size_t first = 0; first < ids.size();) {
        std::vector<QueueId> next = batch_of(ids, first);
        Batch batch = co_await matching(std::move(next), asked.selector());
        first += batch.read;
        so_far.set_messages(so_far.messages() + batch.entries.size());
        if (!asked.dry_run() && !batch.entries.empty()) {
            auto changing = std::make_shared<Change>(loop_);
            changing->action = asked.action();
            changing->by = peer.credentials().uid;
            for (const auto& entry : batch.entries)
                changing->ids.push_back(*QueueId::parse(entry.queue_id()));
            tasks_.spawn(change(changing));
            while (!changing->done)
                co_await changing->ended.wait();
            so_far.set_failed(so_far.failed() + changing->failed);
        }
        // So that whoever waits knows that it goes on.
        reply.set_more(first < ids.size());
        bool sent = co_await post_when_read(loop_, peer, reply);
        if (!sent) co_return;
    }
    if (ids.empty()) peer.reply(reply);
}

async::Task<void> Quarantine::change(std::shared_ptr<Change> change) {
    const bool release = change->action == wire::Quarantine::RELEASE;
    std::function<std::vector<Outcome>()> work = [spool = &spool_, ids = change->ids, release] {
        std::vector<Outcome> outcomes;
        for (QueueId id : ids)
            outcomes.push_back({id, release ? spool->release(id) : spool->remove_durably(id, Folder::Hold)});
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
