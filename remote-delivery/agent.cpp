#include "remote-delivery/agent.h"

#include <utility>

#include "libcommon/log/log.h"

namespace postrider::remote_delivery {
namespace {

/// A report that defers every recipient of a job that is not even begun.
wire::DeliveryReport refusal(const wire::DeliverJob& job, const std::string& reason) {
    wire::DeliveryReport report;
    report.set_job(job.job());
    for (const wire::Delivery& delivery : job.deliveries()) {
        wire::DeliveryResult& result = *report.add_results();
        result.set_number(delivery.number());
        result.set_outcome(wire::DeliveryResult::DEFERRED);
        result.set_status("4.3.2");
        result.set_text(reason);
    }
    return report;
}

}  // namespace

Agent::Agent(async::Loop& loop, const config::Settings& settings, const Self& self, dns::Resolver& resolver,
             std::size_t capacity)
    : capacity_(capacity),
      random_(std::random_device()()),
      routes_(resolver, self, settings.limits, random_),
      sessions_(loop, settings.limits, capacity),
      services_{loop, settings.limits, self, routes_, sessions_},
      jobs_(loop),
      queue_(loop, "queue.sock", wire::ROLE_REMOTE_DELIVERY) {
    queue_.on_state([this](bool connected) { on_state(connected); });
    queue_.on_notice([this](wire::QueueReply&& notice, std::vector<Fd> descriptors) {
        on_notice(std::move(notice), std::move(descriptors));
    });
}

void Agent::start() {
    queue_.start();
}

void Agent::on_state(bool connected) {
    if (connected) {
        log::info("connected").add("peer", "queue-manager");
        announce(capacity_);
    } else {
        log::warning("connection lost").add("peer", "queue-manager").add("jobs", jobs_.size());
        jobs_.cancel_all();
    }
}

/// The authority of this process: the one frame it obeys is a job, with the one descriptor that belongs to
/// it. Everything else is left alone.
void Agent::on_notice(wire::QueueReply&& notice, std::vector<Fd> descriptors) {
    if (!notice.has_deliver()) {
        log::warning("unexpected frame").add("peer", "queue-manager");
        return;
    }
    wire::DeliverJob job = std::move(*notice.mutable_deliver());
    if (descriptors.size() != 1) {
        log::error("job without its file").add("id", job.queue_id()).add("descriptors", descriptors.size());
        report(refusal(job, "the delivery job came without the message"));
    } else if (jobs_.size() >= capacity_) {
        log::warning("too many jobs").add("id", job.queue_id()).add("capacity", capacity_);
        report(refusal(job, "too many deliveries at once"));
    } else {
        jobs_.spawn(deliver(std::move(job), std::move(descriptors.front())));
    }
}

void Agent::announce(std::size_t capacity) {
    wire::QueueRequest request;
    wire::AgentReady& ready = *request.mutable_agent_ready();
    ready.add_transports(wire::TRANSPORT_SMTP);
    ready.set_capacity(static_cast<std::uint32_t>(capacity));
    // A failure means that the connection is gone, of which on_state() hears.
    static_cast<void>(queue_.notify(request));
}

async::Task<void> Agent::deliver(wire::DeliverJob job, Fd content) {
    Job delivery(services_, std::move(job), std::move(content));
    wire::DeliveryReport result = co_await delivery.run();
    report(std::move(result));
}

void Agent::report(wire::DeliveryReport report) {
    wire::QueueRequest request;
    *request.mutable_report() = std::move(report);
    auto sent = queue_.notify(request);
    if (!sent) log::error("report lost").add("peer", "queue-manager").add("reason", sent.error().text);
}

async::Task<void> Agent::shut_down(async::Deadline deadline) {
    announce(0);
    bool finished = co_await jobs_.join(deadline);
    if (!finished) log::warning("jobs dropped").add("jobs", jobs_.size());
    jobs_.cancel_all();
    co_await sessions_.end_all(deadline);
}

}  // namespace postrider::remote_delivery
