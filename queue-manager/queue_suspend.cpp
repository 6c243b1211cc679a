// Domains that an administrator has suspended.
//
// A delivery for one, when it is due, is not offered: it waits for its end, where it fails, and nothing else
// makes it due but a resume. Only memory knows that it waits so; its journal says what it said before, and a
// restart finds it due and suspends it again, because the list is read first. The list is durable before
// anything follows from it.

#include <algorithm>
#include <utility>

#include "libcommon/log/log.h"
#include "queue-manager/queue.h"

namespace postrider::queue_manager {

namespace {

bool is_among(const std::vector<std::string>& names, const ActiveDelivery& delivery) {
    const auto has = [&](const std::string& name) {
        return std::find(names.begin(), names.end(), name) != names.end();
    };
    return has(delivery.delivery.next_hop()) || has(domain_of(delivery.delivery.recipient()));
}

}  // namespace

std::optional<wire::DeliveryResult> Queue::suspend(Message& message, ActiveDelivery& delivery) {
    const UnixMillis end = end_of(settings_, message, delivery.delivery);
    if (now() < end) {
        delivery.suspended = true;
        delivery.due = end;
        return std::nullopt;
    }
    wire::DeliveryResult result;
    result.set_number(delivery.delivery.number());
    result.set_outcome(wire::DeliveryResult::FAILED);
    result.set_status("5.4.7");
    result.set_text("delivery time expired; mail for this destination was suspended");
    return result;
}

async::Task<Result<std::vector<std::string>>> Queue::suspend(std::vector<std::string> domains, bool resumes,
                                                             std::uint32_t by) {
    if (changing_suspensions_) co_return temporary("another change of suspended domains is under way");
    Suspensions changed = suspensions_;
    std::vector<std::string> names = resumes ? changed.remove(domains) : changed.add(domains, now(), by);
    if (names.empty()) co_return names;
    changing_suspensions_ = true;
    std::function<Result<void>()> work = [spool = &spool_, text = changed.text()] {
        return spool->replace_note(Suspensions::kFile, text);
    };
    auto written = co_await sync_pool_.run(std::move(work));
    changing_suspensions_ = false;
    if (!written) co_return temporary("too many changes are under way");
    if (!*written) co_return failure(written->error());
    suspensions_ = std::move(changed);
    for (const std::string& name : names)
        log::info(resumes ? "resumed" : "suspended").add("domain", name).add("by_uid", by);
    if (resumes) {
        resume(names);
    } else {
        stop_offering(names);
    }
    co_return names;
}

void Queue::stop_offering(const std::vector<std::string>& domains) {
    std::vector<QueueId> touched;
    for (auto& [id, message] : active_) {
        if (message->count(Phase::Ready) == 0) continue;
        bool any = false;
        // What stands on a ready list is dropped when its turn comes, because it is ready no more.
        for (auto& delivery : message->deliveries) {
            if (delivery.phase != Phase::Ready || !is_among(domains, delivery)) continue;
            message->set_phase(delivery, Phase::Waiting);
            delivery.due = 0;
            any = true;
        }
        if (!any) continue;
        message->scan_due = 0;
        touched.push_back(id);
    }
    for (QueueId id : touched) {
        Message* message = find(id);
        if (message != nullptr) advance(*message);
    }
    if (on_ready_) on_ready_();
}

void Queue::resume(const std::vector<std::string>& domains) {
    for (const std::string& domain : domains) {
        for (QueueId id : waiting_perhaps_about(domain, false))
            agenda_.waiting().release(id, now());
    }
    std::vector<QueueId> touched;
    for (auto& [id, message] : active_) {
        for (auto& delivery : message->deliveries) {
            if (!delivery.suspended || suspensions_.cover(delivery.delivery)) continue;
            delivery.suspended = false;
            delivery.due = 0;
            message->scan_due = 0;
            if (touched.empty() || touched.back() != id) touched.push_back(id);
        }
    }
    for (QueueId id : touched) {
        Message* message = find(id);
        if (message != nullptr) advance(*message);
    }
    if (on_ready_) on_ready_();
    arm();
}

}  // namespace postrider::queue_manager
