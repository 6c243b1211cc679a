// Deliveries that wait for a flush, or for a time of day, because the route of their domain says `hold` or
// `schedule=`.
//
// One that waits for a flush is due when it expires, and then it fails. Until then only a flush makes it due,
// by setting its time to 0; whatever comes of the attempt, if it still waits then it is due at its end again.
// One that has times of its own is due at the first of them after its arrival, and after each attempt. So
// nothing here needs a timer of its own. The router is asked from time to time what the routes say now.

#include <algorithm>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "libcommon/ipc/channel.h"
#include "libcommon/log/log.h"
#include "queue-manager/queue.h"

namespace postrider::queue_manager {

namespace {

/// How soon a domain is asked about, and how often while mail for it waits.
constexpr Milliseconds kAskSoon{500};
constexpr Milliseconds kAskInterval{5'000};

/// The file of a message that is held, or whose domain is suspended, says that it is due this soon, so that
/// after a restart it is read and its domain is known.
constexpr UnixMillis kLookAgain = 3'600'000;

}  // namespace

void Queue::hold_back(Message& message, std::size_t first) {
    for (std::size_t i = first; i < message.deliveries.size(); ++i) {
        ActiveDelivery& delivery = message.deliveries[i];
        if (delivery.phase != Phase::Waiting) continue;
        if (marked_schedule(delivery.delivery) == DeliverySchedule()) continue;
        const Holds::Current current = watch_hold(delivery);
        const UnixMillis end = end_of(settings_, message, delivery.delivery);
        apply_schedule(delivery, current.schedule, current.since, message.envelope.arrival_ms(), end);
    }
    message.scan_due = 0;
}

Holds::Current Queue::watch_hold(const ActiveDelivery& delivery) {
    if (holds_.empty()) hold_timer_.arm(kAskSoon);
    return holds_.current(domain_of(delivery.delivery.recipient()), marked_schedule(delivery.delivery));
}

UnixMillis Queue::due_on_disk(const Message& message, UnixMillis due) {
    // Nobody would call for it after a restart.
    if (message.has_called()) due = std::min(due, now());
    for (const auto& delivery : message.deliveries) {
        // The queue may have forgotten the domain while this message was in memory.
        const bool waits = delivery.held || delivery.schedule.ticks();
        if (waits && delivery.phase == Phase::Waiting) static_cast<void>(watch_hold(delivery));
    }
    const bool look_again = message.holds_something() || message.suspends_something();
    return look_again ? std::min(due, now() + kLookAgain) : due;
}

void Queue::ask_about_holds() {
    if (stopped_ || holds_.empty()) return;
    if (!asking_about_holds_ && resolver_.connected()) {
        asking_about_holds_ = true;
        tasks_.spawn(update_holds());
    }
    hold_timer_.arm(kAskInterval);
}

async::Task<void> Queue::update_holds() {
    std::vector<std::string> asked = holds_.after({}, ipc::kFrameTarget);
    while (!asked.empty()) {
        for (const std::string& domain : asked) {
            if (waiting().count_about(domain) == 0) holds_.forget(domain);
        }
        std::string last = asked.back();
        auto answer = co_await resolver_.schedules(asked);
        if (!answer) break;  // the router is away: what counted still does
        const std::vector<std::string> changed = holds_.answered(asked, *answer, now());
        if (!changed.empty()) schedules_changed(changed);
        asked = holds_.after(last, ipc::kFrameTarget);
    }
    asking_about_holds_ = false;
}

void Queue::schedules_changed(const std::vector<std::string>& domains) {
    for (const std::string& domain : domains) {
        // These notice when they are read.
        for (QueueId id : waiting().about(domain))
            agenda_.waiting().release(id, now());
        log::info("schedule_changed").add("domain", domain);
    }
    const std::unordered_set<std::string> changed(domains.begin(), domains.end());
    std::vector<QueueId> in_memory;
    for (auto& [id, message] : active_) {
        const auto concerns = [&changed](const ActiveDelivery& delivery) {
            return delivery.phase == Phase::Waiting &&
                   marked_schedule(delivery.delivery) != DeliverySchedule() &&
                   changed.count(domain_of(delivery.delivery.recipient())) > 0;
        };
        const auto& deliveries = message->deliveries;
        if (std::any_of(deliveries.begin(), deliveries.end(), concerns)) in_memory.push_back(id);
    }
    for (QueueId id : in_memory) {
        Message* message = find(id);
        if (message == nullptr) continue;
        hold_back(*message, 0);
        advance(*message);
    }
    arm();
}

wire::DeliveryResult Queue::held_too_long(const wire::Delivery& delivery) {
    wire::DeliveryResult result;
    result.set_number(delivery.number());
    result.set_outcome(wire::DeliveryResult::FAILED);
    result.set_status("5.4.7");
    result.set_text("delivery time expired; the message was held until its domain would ask for it");
    return result;
}

}  // namespace postrider::queue_manager
