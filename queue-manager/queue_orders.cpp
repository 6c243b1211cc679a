// Orders of an administrator (order.h): when they are carried out, and what the queue knows afterwards.
//
// A message with an order is taken off the ready lists at once and offered to nobody any more. When nothing
// of it is under way it leaves the memory, and a thread writes the order into its file (spool_orders.cpp).
// After that the queue knows of it what it would know after a restart: that it is in new/ or cur/ and due, or
// that it is nowhere. So what an order means is decided in one place, where the journal is read.

#include <algorithm>
#include <utility>

#include "libcommon/log/log.h"
#include "queue-manager/queue.h"

namespace postrider::queue_manager {

namespace {

std::string_view event_of_order(const Order& order) {
    if (order.remove) return "deleted";
    switch (order.record.action()) {
        case wire::OrderRecord::HOLD:
            return "held";
        case wire::OrderRecord::RELEASE:
            return "released";
        case wire::OrderRecord::FAIL:
            return "failed_by_order";
        case wire::OrderRecord::REROUTE:
            return "rerouted";
        default:
            return "requeued";
    }
}

/// "5.7.1 text"; the administrator may have said another status.
std::string refusal_of(const wire::OrderRecord& order) {
    const std::string& text = order.text();
    if (text.starts_with("5.") && text.find(' ') != std::string::npos) return text;
    return "5.7.1 " + (text.empty() ? "returned by the administrator of the mail system" : text);
}

}  // namespace

bool Queue::order(QueueId id, std::optional<Folder> kept, Order order) {
    if (ordered(id)) return false;
    if (kept) {
        // What is there is in no index; whatever else goes on with it is in loading_.
        if (folder_of(id)) return false;
        spawn_order(id, *kept, true, std::move(order));
        return true;
    }
    Message* message = find(id);
    if (message != nullptr || agenda_.loading().count(id) > 0) {
        orders_.emplace(id, std::move(order));
        if (message != nullptr) advance(*message);
        return true;
    }
    auto entry = agenda_.waiting().take(id);
    if (!entry) return false;
    spawn_order(id, entry->folder, entry->verify, std::move(order));
    return true;
}

void Queue::withdraw(Message& message) {
    // Nothing is due while it waits for what is in flight, or its timer would never rest.
    message.scan_due = kNever;
    if (message.resolving && !message.asked) {
        std::erase(to_resolve_, message.id());
        message.resolving = false;
    }
    if (message.count(Phase::Ready) == 0) return;
    // What stands on a ready list is dropped when its turn comes, because it is ready no more.
    for (auto& delivery : message.deliveries) {
        if (delivery.phase == Phase::Ready) message.set_phase(delivery, Phase::Waiting);
    }
}

void Queue::begin_order(Message& message) {
    // Orders are about files.
    if (message.image) return settle(message);
    const QueueId id = message.id();
    const Folder folder = message.folder;
    auto found = orders_.find(id);
    Order order = std::move(found->second);
    orders_.erase(found);
    erase(id);
    spawn_order(id, folder, false, std::move(order));
}

void Queue::spawn_order(QueueId id, Folder folder, bool verify, Order order) {
    agenda_.load_begun(id, folder);
    tasks_.spawn(carry_out(id, folder, verify, std::make_shared<Order>(std::move(order))));
}

async::Task<void> Queue::carry_out(QueueId id, Folder folder, bool verify, std::shared_ptr<Order> order) {
    auto history = std::make_shared<Spool::History>();
    std::function<Result<Folder>()> work = [spool = &spool_, id, folder, verify, order,
                                            history]() -> Result<Folder> {
        if (order->remove) {
            if (auto read = spool->history(id, folder)) *history = std::move(*read);
            auto removed = spool->remove_durably(id, folder);
            if (!removed) return failure(std::move(removed.error()));
            return folder;
        }
        return spool->carry_out(id, folder, verify, order->record);
    };
    auto result = co_await sync_pool_.run(std::move(work));
    agenda_.load_ended(id);
    if (result && *result && order->remove) remember_deleted(id, *history);
    if (result) {
        carried_out(id, folder, *order, *result);
    } else {
        carried_out(id, folder, *order, temporary("too many messages are being changed"));
    }
}

void Queue::carried_out(QueueId id, Folder before, const Order& order, const Result<Folder>& result) {
    const Folder folder = result ? *result : before;
    if (result) {
        log::info(event_of_order(order)).add("id", id.text()).add("by_uid", order.record.by());
        if (order.record.action() == wire::OrderRecord::RELEASE) ++counters_.released;
    } else {
        log::error("cannot_carry_out_order")
            .add("id", id.text())
            .add("order", event_of_order(order))
            .add("reason", result.error().text);
    }
    if (result && order.remove) {
        forced_.erase(id);
        auto late = late_reports_.find(id);
        if (late != late_reports_.end()) {
            late_results_ -= late->second.size();
            late_reports_.erase(late);
        }
    } else if (folder == Folder::New || folder == Folder::Cur) {
        WaitingIndex::Entry entry;
        entry.due = now();
        entry.folder = folder;
        agenda_.waiting().add(id, entry);
    }
    order.done(id, result ? Order::Outcome::Changed : Order::Outcome::Failed);
    end_order(id, Order::Outcome::Failed);  // one that came for it meanwhile
    arm();
}

void Queue::end_order(QueueId id, Order::Outcome outcome) {
    auto found = orders_.find(id);
    if (found == orders_.end()) return;
    const Order order = std::move(found->second);
    orders_.erase(found);
    order.done(id, outcome);
}

void Queue::fail_open(Message& message) {
    if (message.resolving) return;
    Resolution refusal;
    refusal.error = Error(Severity::Permanent, refusal_of(*message.fail_order));
    if (!message.unresolved.empty()) {
        const std::vector<std::uint32_t> indices = message.unresolved;
        if (!take_resolution(message, indices, std::vector<Resolution>(indices.size(), refusal))) return;
    }
    std::vector<std::uint32_t> expanding;
    for (const auto& delivery : message.deliveries) {
        if (delivery.phase == Phase::Expanding) expanding.push_back(delivery.delivery.number());
    }
    for (std::uint32_t number : expanding) {
        auto plan = plan_expansion(settings_, message, *message.find(number), refusal, now());
        if (!take_plan(message, std::move(plan))) return;
    }
    std::vector<wire::DeliveryResult> results;
    for (const auto& delivery : message.deliveries) {
        if (delivery.phase != Phase::Waiting) continue;
        wire::DeliveryResult& result = results.emplace_back();
        result.set_number(delivery.delivery.number());
        result.set_outcome(wire::DeliveryResult::FAILED);
        const std::string& text = refusal.error.text;
        result.set_status(text.substr(0, text.find(' ')));
        result.set_text(text.substr(text.find(' ') + 1));
    }
    if (!results.empty()) take_results(message, std::move(results));
}

bool Queue::back_to_hold(const Message& message) {
    auto moved = spool_.move_to_hold(message.id(), message.folder);
    if (!moved) {
        log::error("cannot_hold").add("id", message.id().text()).add("reason", moved.error().text);
        return false;
    }
    log::info("held").add("id", message.id().text()).add("by_uid", message.hold_order->by());
    end_order(message.id(), Order::Outcome::Gone);
    return true;
}

}  // namespace postrider::queue_manager
