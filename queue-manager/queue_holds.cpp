// Deliveries that wait for a flush, because the route of their domain says `hold`.
//
// Such a delivery is due when it expires, and then it fails. Until then only a flush makes it due, by setting
// its time to 0; whatever comes of the attempt, if it still waits then it is due at its end again. So nothing
// here needs a timer of its own. The router is asked from time to time whether the routes still say so.

#include <algorithm>
#include <utility>

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
        if (!delivery.delivery.hold() || delivery.phase != Phase::Waiting) continue;
        const UnixMillis end =
            schedule_of(settings_, message, delivery.delivery).expires(message.envelope.arrival_ms());
        delivery.held = watch_hold(delivery);
        if (delivery.held) delivery.due = end;
        // It was held when its file was written, and is not any more.
        if (!delivery.held && delivery.due == kNever) delivery.due = 0;
    }
    message.scan_due = 0;
}

bool Queue::watch_hold(const ActiveDelivery& delivery) {
    if (holds_.empty()) hold_timer_.arm(kAskSoon);
    return holds_.holds(domain_of(delivery.delivery.recipient()));
}

UnixMillis Queue::due_on_disk(const Message& message, UnixMillis due) {
    bool held = false;
    for (const auto& delivery : message.deliveries) {
        if (!delivery.held || delivery.phase != Phase::Waiting) continue;
        held = true;
        // The queue may have forgotten the domain while this message was in memory.
        static_cast<void>(watch_hold(delivery));
    }
    const bool look_again = held || message.suspends_something();
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
            if (waiting_.about(domain).empty()) holds_.forget(domain);
        }
        std::string last = asked.back();
        auto held = co_await resolver_.held(asked);
        if (!held) break;  // the router is away: what was held stays so
        for (const std::string& domain : holds_.answered(asked, *held))
            release_held(domain);
        asked = holds_.after(last, ipc::kFrameTarget);
    }
    asking_about_holds_ = false;
}

void Queue::release_held(const std::string& domain) {
    // Those on disk notice when they are read.
    const std::vector<QueueId> waiting = waiting_.about(domain);
    for (QueueId id : waiting)
        waiting_.release(id, now());
    std::vector<QueueId> released;
    for (auto& [id, message] : active_) {
        for (auto& delivery : message->deliveries) {
            if (!delivery.held || domain_of(delivery.delivery.recipient()) != domain) continue;
            delivery.held = false;
            if (delivery.phase != Phase::Waiting) continue;
            delivery.due = 0;
            message->scan_due = 0;
            if (released.empty() || released.back() != id) released.push_back(id);
        }
    }
    log::info("hold_ended").add("domain", domain).add("messages", waiting.size() + released.size());
    for (QueueId id : released) {
        Message* message = find(id);
        if (message != nullptr) advance(*message);
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
