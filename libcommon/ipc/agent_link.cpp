#include "libcommon/ipc/agent_link.h"

#include <string>
#include <utility>

#include "libcommon/log/log.h"

namespace postrider::ipc {

namespace {

// Reports kept until the queue-manager says that it has them; more than an agent can have jobs.
constexpr std::size_t kMaxKept = 20'000;

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
    log::info("connected").add("peer", "queue-manager").add("kept_reports", kept_.size());
    // The queue-manager before may have died with them; one that has them already takes no notice.
    for (const wire::QueueRequest& report : kept_) {
        if (!queue_.notify(report)) return;
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
    if (notice.has_reports_taken()) return forget_reports(notice.reports_taken().sequence());
    if (!notice.has_deliver()) {
        log::warning("unexpected frame").add("peer", "queue-manager");
        return;
    }
    wire::DeliverJob job = std::move(*notice.mutable_deliver());
    forget_reports(job.reports_taken());
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
    report->set_sequence(++last_report_);
    // Without a connection it is sent when there is one again.
    static_cast<void>(queue_.notify(request));
    if (kept_.size() >= kMaxKept) {
        log::error("report not kept")
            .add("id", job.queue_id())
            .add("effect", "the delivery may be made again");
        return;
    }
    kept_.push_back(std::move(request));
}

void AgentLink::forget_reports(std::uint64_t taken) {
    while (!kept_.empty() && kept_.front().report().sequence() <= taken)
        kept_.pop_front();
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
