#include "libcommon/ipc/agent_link.h"

#include <string>
#include <utility>

#include "libcommon/log/log.h"

namespace postrider::ipc {

namespace {

// Reports kept while the queue-manager is away; more than an agent can have jobs.
constexpr std::size_t kMaxUnsent = 20'000;

}  // namespace

AgentLink::AgentLink(async::Loop& loop, wire::Role role, std::vector<wire::Transport> transports,
                     std::size_t capacity)
    : transports_(std::move(transports)), capacity_(capacity), queue_(loop, "queue.sock", role) {
    queue_.on_state([this](bool is_connected) {
        if (on_state_) on_state_(is_connected);
        if (is_connected) connected();
    });
    queue_.on_notice([this](wire::QueueReply&& notice, std::vector<Fd> descriptors) {
        dispatch(std::move(notice), std::move(descriptors));
    });
}

void AgentLink::connected() {
    log::info("connected").add("peer", "queue-manager").add("unsent_reports", unsent_.size());
    while (!unsent_.empty()) {
        if (!queue_.notify(unsent_.front())) return;
        unsent_.pop_front();
    }
    announce();
}

void AgentLink::announce() {
    wire::QueueRequest request;
    auto* ready = request.mutable_agent_ready();
    for (auto transport : transports_)
        ready->add_transports(transport);
    ready->set_capacity(static_cast<std::uint32_t>(capacity_));
    // A failure means that the connection is gone; the next one announces again.
    static_cast<void>(queue_.notify(request));
}

void AgentLink::close() {
    capacity_ = 0;
    announce();
}

void AgentLink::dispatch(wire::QueueReply&& notice, std::vector<Fd> descriptors) {
    if (!notice.has_deliver()) {
        log::warning("unexpected frame").add("peer", "queue-manager");
        return;
    }
    wire::DeliverJob job = std::move(*notice.mutable_deliver());
    if (descriptors.size() != 1) {
        log::error("job without its file").add("id", job.queue_id()).add("descriptors", descriptors.size());
        report(job, defer_all(job, "4.3.0", "the delivery job came without the message"));
        return;
    }
    on_job_(std::move(job), std::move(descriptors.front()));
}

void AgentLink::report(const wire::DeliverJob& job, std::vector<wire::DeliveryResult> results) {
    wire::QueueRequest request;
    auto* report = request.mutable_report();
    report->set_job(job.job());
    report->set_queue_id(job.queue_id());
    for (auto& result : results)
        *report->add_results() = std::move(result);
    if (queue_.notify(request)) return;
    if (unsent_.size() >= kMaxUnsent) {
        log::error("report lost").add("id", job.queue_id()).add("effect", "the delivery will be made again");
        return;
    }
    unsent_.push_back(std::move(request));
}

std::vector<wire::DeliveryResult> defer_all(const wire::DeliverJob& job, std::string_view status,
                                            std::string_view reason) {
    std::vector<wire::DeliveryResult> results;
    for (const wire::Delivery& delivery : job.deliveries()) {
        wire::DeliveryResult result;
        result.set_number(delivery.number());
        result.set_outcome(wire::DeliveryResult::DEFERRED);
        result.set_status(std::string(status));
        result.set_text(std::string(reason));
        results.push_back(std::move(result));
    }
    return results;
}

}  // namespace postrider::ipc
