#include "queue-manager/steering.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "libcommon/log/log.h"
#include "queue-manager/kept.h"
#include "queue-manager/selector.h"

namespace postrider::queue_manager {

namespace {

// Orders that may be open at once for one question; each is a message being read and synced.
constexpr std::size_t kMostOpen = 256;
constexpr std::size_t kMaxText = 500;
// How often whoever waits is told that it goes on.
constexpr Milliseconds kSayInterval{2'000};

std::string_view action_word(wire::Steer::Action action) {
    switch (action) {
        case wire::Steer::HOLD:
            return "hold";
        case wire::Steer::RELEASE:
            return "release";
        case wire::Steer::FAIL:
            return "fail";
        case wire::Steer::DELETE:
            return "delete";
        case wire::Steer::REROUTE:
            return "reroute";
        case wire::Steer::REQUEUE:
            return "requeue";
        default:
            return "nothing";
    }
}

wire::OrderRecord::Action record_action(wire::Steer::Action action) {
    switch (action) {
        case wire::Steer::HOLD:
            return wire::OrderRecord::HOLD;
        case wire::Steer::RELEASE:
            return wire::OrderRecord::RELEASE;
        case wire::Steer::FAIL:
            return wire::OrderRecord::FAIL;
        case wire::Steer::REROUTE:
            return wire::OrderRecord::REROUTE;
        case wire::Steer::REQUEUE:
            return wire::OrderRecord::REQUEUE;
        default:
            return wire::OrderRecord::NONE;
    }
}

bool is_for_queue(const wire::Steer& asked) {
    return asked.place() == wire::PLACE_QUEUE && asked.action() != wire::Steer::RELEASE;
}

bool is_for_kept(const wire::Steer& asked) {
    return asked.place() != wire::PLACE_QUEUE || asked.action() != wire::Steer::HOLD;
}

}  // namespace

Result<void> check_steer(const wire::Steer& asked) {
    using Action = wire::Steer;
    const auto action = asked.action();
    bool fits = false;
    switch (asked.place()) {
        case wire::PLACE_QUEUE:
            fits = action == Action::HOLD || action == Action::RELEASE || action == Action::FAIL ||
                   action == Action::DELETE || action == Action::REROUTE;
            break;
        case wire::PLACE_FAILED:
            fits = action == Action::REQUEUE || action == Action::DELETE;
            break;
        case wire::PLACE_CORRUPT:
            fits = action == Action::DELETE;
            break;
        default:
            break;
    }
    if (!fits) return permanent("that cannot be done with messages in that place");
    const std::string& text = asked.text();
    const bool is_clean = std::all_of(
        text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= ' ' && c != '\x7f'; });
    if (text.size() > kMaxText || !is_clean)
        return permanent("the text is too long, or has control characters in it");
    return {};
}

void Steering::give(QueuePeer& peer, const wire::Steer& asked, QueueId id, std::optional<Folder> kept,
                    const Shared& progress) {
    progress->counts.set_messages(progress->counts.messages() + 1);
    if (asked.dry_run()) return;
    Order order;
    order.remove = asked.action() == wire::Steer::DELETE;
    order.record.set_action(record_action(asked.action()));
    order.record.set_time_ms(queue_.now());
    order.record.set_by(peer.credentials().uid);
    order.record.set_text(asked.text());
    order.record.set_silent(asked.silent());
    order.done = [progress](QueueId, Order::Outcome outcome) {
        wire::Steered& counts = progress->counts;
        if (outcome == Order::Outcome::Changed) counts.set_changed(counts.changed() + 1);
        if (outcome == Order::Outcome::Failed) counts.set_failed(counts.failed() + 1);
        if (outcome == Order::Outcome::Gone) counts.set_gone(counts.gone() + 1);
        --progress->open;
        progress->changed.notify_all();
    };
    ++progress->open;
    if (queue_.order(id, kept, std::move(order))) return;
    --progress->open;
    // It ended meanwhile, or another administrator is changing it.
    const bool is_there = queue_.folder_of(id).has_value();
    if (is_there)
        progress->counts.set_failed(progress->counts.failed() + 1);
    else
        progress->counts.set_gone(progress->counts.gone() + 1);
}

async::Task<bool> Steering::wait_until_open(QueuePeer& peer, std::uint64_t request, Shared progress,
                                            std::size_t most) {
    while (progress->open > most) {
        bool changed = co_await progress->changed.wait(loop_.after(kSayInterval));
        if (changed) continue;
        wire::QueueReply reply;
        reply.set_id(request);
        reply.set_more(true);
        *reply.mutable_steered() = progress->counts;
        reply.mutable_steered()->set_waiting_for(progress->open);
        bool sent = co_await post_when_read(loop_, peer, std::move(reply));
        if (!sent) co_return false;
    }
    co_return true;
}

async::Task<bool> Steering::steer_queue(QueuePeer& peer, std::uint64_t request, const wire::Steer& asked,
                                        Shared progress) {
    const std::vector<QueueId> ids = co_await admin_.candidates(asked.selector());
    const bool read = needs_listing(asked.selector());
    for (std::size_t first = 0; first < ids.size();) {
        std::vector<QueueId> batch = batch_of(ids, first);
        if (read) {
            Batch listed = co_await admin_.read_entries(std::move(batch));
            first += listed.read;
            batch.clear();
            for (const auto& entry : listed.entries) {
                auto id = QueueId::parse(entry.queue_id());
                if (id && matches(entry, asked.selector(), queue_.now())) batch.push_back(*id);
            }
        } else {
            first += batch.size();
            std::erase_if(batch, [this](QueueId id) {
                const auto folder = queue_.folder_of(id);
                const bool in_queue =
                    folder == Folder::New || folder == Folder::Cur || folder == Folder::Journal;
                return !in_queue;
            });
        }
        for (QueueId id : batch)
            give(peer, asked, id, std::nullopt, progress);
        bool goes_on = co_await wait_until_open(peer, request, progress, kMostOpen);
        if (!goes_on) co_return false;
    }
    co_return true;
}

async::Task<bool> Steering::steer_kept(QueuePeer& peer, std::uint64_t request, const wire::Steer& asked,
                                       Folder folder, Shared progress) {
    const std::vector<QueueId> ids =
        co_await kept_candidates(queue_.read_pool(), spool_, folder, asked.selector());
    for (std::size_t first = 0; first < ids.size();) {
        std::vector<QueueId> batch = batch_of(ids, first);
        const Batch listed = co_await read_kept(queue_.read_pool(), spool_, folder, std::move(batch));
        first += listed.read;
        for (const auto& entry : listed.entries) {
            auto id = QueueId::parse(entry.queue_id());
            // What the policy keeps back is for other verbs.
            const bool is_meant = folder != Folder::Hold || entry.state() == "held";
            if (id && is_meant && matches(entry, asked.selector(), queue_.now()))
                give(peer, asked, *id, folder, progress);
        }
        bool goes_on = co_await wait_until_open(peer, request, progress, kMostOpen);
        if (!goes_on) co_return false;
    }
    co_return true;
}

async::Task<void> Steering::serve(QueuePeer& peer, std::uint64_t request, wire::Steer asked) {
    auto checked = check_steer(asked);
    if (!checked) {
        peer.fail(request, checked.error());
        co_return;
    }
    auto progress = std::make_shared<Progress>(loop_);
    const std::string selector = selector_text(asked.selector());
    log::info("steer")
        .add("action", action_word(asked.action()))
        .add("by_uid", peer.credentials().uid)
        .add("login", asked.login())
        .add("selector", selector)
        .add("dry_run", asked.dry_run());
    if (is_for_queue(asked)) {
        bool goes_on = co_await steer_queue(peer, request, asked, progress);
        if (!goes_on) co_return;
    }
    if (is_for_kept(asked)) {
        const Folder folder = folder_of_place(asked.place());
        bool goes_on = co_await steer_kept(peer, request, asked, folder, progress);
        if (!goes_on) co_return;
    }
    bool goes_on = co_await wait_until_open(peer, request, progress, 0);
    if (!goes_on) co_return;
    log::info("steered")
        .add("action", action_word(asked.action()))
        .add("by_uid", peer.credentials().uid)
        .add("login", asked.login())
        .add("selector", selector)
        .add("dry_run", asked.dry_run())
        .add("messages", progress->counts.messages())
        .add("changed", progress->counts.changed());
    wire::QueueReply reply;
    reply.set_id(request);
    *reply.mutable_steered() = progress->counts;
    peer.reply(reply);
}

}  // namespace postrider::queue_manager
