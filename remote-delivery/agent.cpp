#include "remote-delivery/agent.h"

#include <utility>

#include "libcommon/log/log.h"

namespace postrider::remote_delivery {
Agent::Agent(async::Loop& loop, const config::Settings& settings, const config::Self& self,
             dns::Resolver& resolver, std::size_t capacity)
    : capacity_(capacity),
      random_(std::random_device()()),
      routes_(resolver, self, settings.limits, random_),
      sessions_(loop, settings.limits, capacity),
      services_{loop, settings.limits, self, routes_, sessions_},
      jobs_(loop),
      queue_(loop, wire::ROLE_REMOTE_DELIVERY, {wire::TRANSPORT_SMTP}, capacity) {
    queue_.on_state([this](bool connected) { on_state(connected); });
    queue_.on_job([this](wire::DeliverJob&& job, Fd content) { take(std::move(job), std::move(content)); });
}

void Agent::start() {
    queue_.start();
}

void Agent::on_state(bool connected) {
    if (connected) {
        jobs_.cancel_all();
    } else {
        log::warning("connection lost").add("peer", "queue-manager").add("jobs", jobs_.size());
    }
}

void Agent::take(wire::DeliverJob&& job, Fd content) {
    if (jobs_.size() >= capacity_) {
        log::warning("too many jobs").add("id", job.queue_id()).add("capacity", capacity_);
        queue_.report(job, ipc::defer_all(job, "4.3.2", "too many deliveries at once"));
    } else {
        jobs_.spawn(deliver(std::move(job), std::move(content)));
    }
}

async::Task<void> Agent::deliver(wire::DeliverJob job, Fd content) {
    wire::DeliverJob name;  // what the report needs, after the rest has been moved away
    name.set_job(job.job());
    name.set_queue_id(job.queue_id());
    Job delivery(services_, std::move(job), std::move(content));
    wire::DeliveryReport done = co_await delivery.run();
    std::vector<wire::DeliveryResult> results(done.results().begin(), done.results().end());
    queue_.report(name, std::move(results));
}

async::Task<void> Agent::shut_down(async::Deadline deadline) {
    queue_.close();
    bool finished = co_await jobs_.join(deadline);
    if (!finished) log::warning("jobs dropped").add("jobs", jobs_.size());
    jobs_.cancel_all();
    co_await sessions_.end_all(deadline);
}

}  // namespace postrider::remote_delivery
