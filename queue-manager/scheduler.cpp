#include "queue-manager/scheduler.h"

#include <algorithm>
#include <utility>

namespace postrider::queue_manager {

namespace {

bool is_local(wire::Transport transport) {
    return transport == wire::TRANSPORT_MAILDIR || transport == wire::TRANSPORT_PROGRAM ||
           transport == wire::TRANSPORT_FILE;
}

}  // namespace

Scheduler::Destination& Scheduler::destination_for(const DestinationKey& key) {
    auto found = destinations_.find(key);
    if (found != destinations_.end()) return *found->second;
    HealthSettings health = settings_.health;
    if (is_local(key.transport)) {
        health.initial_window = settings_.local_window;
        health.max_window = settings_.local_window;
    }
    auto made = destinations_.emplace(key, std::make_unique<Destination>(key, health));
    return *made.first->second;
}

bool Scheduler::may_start(const Destination& destination, UnixMillis now) {
    return destination.in_flight < destination.health.window(now);
}

void Scheduler::queue_turn(Destination& destination) {
    if (destination.in_turn || !destination.has_ready()) return;
    turns_[static_cast<std::size_t>(destination.key.transport)].push_back(&destination);
    destination.in_turn = true;
}

std::optional<UnixMillis> Scheduler::refused_until(const DestinationKey& key, UnixMillis now) const {
    auto found = destinations_.find(key);
    if (found == destinations_.end() || !found->second->health.down()) return std::nullopt;
    const Destination& destination = *found->second;
    if (now < destination.health.down_until()) return destination.health.down_until();
    // The dead time is over: one message is the probe, and the others wait for what it finds out. They are
    // released when it succeeds; the time given here only matters when the probe takes long.
    constexpr UnixMillis kProbePatience = 60'000;
    if (destination.in_flight > 0 || destination.has_ready()) return now + kProbePatience;
    return std::nullopt;
}

std::optional<UnixMillis> Scheduler::add(QueueId message, const DestinationKey& key, bool report,
                                         std::vector<ReadyDelivery> deliveries, UnixMillis now) {
    auto refused = refused_until(key, now);
    if (refused) return refused;
    Destination& destination = destination_for(key);
    Entry entry;
    entry.message = message;
    entry.deliveries.assign(deliveries.begin(), deliveries.end());
    ready_ += entry.deliveries.size();
    (report ? destination.reports : destination.messages).push_back(std::move(entry));
    queue_turn(destination);
    return std::nullopt;
}

Job Scheduler::take_job(Destination& destination) {
    auto& list = destination.messages.empty() ? destination.reports : destination.messages;
    Entry entry = std::move(list.front());
    list.pop_front();
    Job job;
    job.number = next_job_++;
    job.message = entry.message;
    job.destination = destination.key;
    // A local delivery is reported, and so journalled, as soon as it is done, not with 49 others.
    std::size_t limit = is_local(destination.key.transport) ? 1 : settings_.recipients_per_job;
    std::size_t bytes = 0;
    while (!entry.deliveries.empty() && job.deliveries.size() < limit) {
        bytes += entry.deliveries.front().frame_bytes;
        if (!job.deliveries.empty() && bytes > settings_.frame_bytes_per_job) break;
        job.deliveries.push_back(entry.deliveries.front());
        entry.deliveries.pop_front();
    }
    ready_ -= job.deliveries.size();
    if (!entry.deliveries.empty()) list.push_back(std::move(entry));
    ++destination.in_flight;
    jobs_.emplace(job.number, job);
    return job;
}

std::optional<Job> Scheduler::next(TransportSet transports, UnixMillis now) {
    for (std::size_t i = 0; i < turns_.size(); ++i) {
        std::size_t transport = (next_transport_ + i) % turns_.size();
        if (!transports.test(transport)) continue;
        auto& turns = turns_[transport];
        while (!turns.empty()) {
            Destination& destination = *turns.front();
            turns.pop_front();
            destination.in_turn = false;
            if (!destination.has_ready() || !may_start(destination, now)) continue;
            Job job = take_job(destination);
            queue_turn(destination);
            next_transport_ = transport + 1;
            return job;
        }
    }
    return std::nullopt;
}

std::vector<Parked> Scheduler::take_ready(Destination& destination) {
    std::vector<Parked> taken;
    for (auto* list : {&destination.messages, &destination.reports}) {
        for (auto& entry : *list) {
            ready_ -= entry.deliveries.size();
            taken.push_back({entry.message, {entry.deliveries.begin(), entry.deliveries.end()}});
        }
        list->clear();
    }
    return taken;
}

Scheduler::Effect Scheduler::finished(std::uint64_t number, JobOutcome outcome, UnixMillis now,
                                      Milliseconds retry_in) {
    Effect effect;
    auto found = jobs_.find(number);
    if (found == jobs_.end()) return effect;
    DestinationKey key = std::move(found->second.destination);
    jobs_.erase(found);
    Destination& destination = destination_for(key);
    --destination.in_flight;
    if (outcome == JobOutcome::Reached) {
        effect.recovered = destination.health.succeeded();
    } else if (outcome == JobOutcome::NotReached && destination.health.failed(now, retry_in, jitter_)) {
        effect.parked = take_ready(destination);
        effect.parked_until = destination.health.down_until();
    }
    queue_turn(destination);
    drop_if_idle(key);
    return effect;
}

std::optional<UnixMillis> Scheduler::give_back(std::uint64_t number, bool report, UnixMillis now) {
    auto found = jobs_.find(number);
    if (found == jobs_.end()) return std::nullopt;
    Job job = std::move(found->second);
    jobs_.erase(found);
    Destination& destination = destination_for(job.destination);
    --destination.in_flight;
    auto refused = refused_until(job.destination, now);
    if (refused) return refused;
    ready_ += job.deliveries.size();
    Entry entry;
    entry.message = job.message;
    entry.deliveries.assign(job.deliveries.begin(), job.deliveries.end());
    (report ? destination.reports : destination.messages).push_front(std::move(entry));
    queue_turn(destination);
    return std::nullopt;
}

void Scheduler::forget(QueueId message, const std::vector<DestinationKey>& destinations) {
    for (const auto& key : destinations) {
        auto found = destinations_.find(key);
        if (found == destinations_.end()) continue;
        for (auto* list : {&found->second->messages, &found->second->reports}) {
            std::erase_if(*list, [&](const Entry& entry) {
                if (entry.message != message) return false;
                ready_ -= entry.deliveries.size();
                return true;
            });
        }
        drop_if_idle(key);
    }
}

void Scheduler::drop_if_idle(const DestinationKey& key) {
    auto found = destinations_.find(key);
    if (found == destinations_.end()) return;
    const Destination& destination = *found->second;
    bool idle = destination.in_flight == 0 && !destination.has_ready() && !destination.in_turn;
    if (idle && destination.health.pristine()) destinations_.erase(found);
}

UnixMillis Scheduler::last_failure(const DestinationKey& key) const {
    auto found = destinations_.find(key);
    return found == destinations_.end() ? 0 : found->second->health.last_failure();
}

void Scheduler::forgive(const DestinationKey& key) {
    auto found = destinations_.find(key);
    if (found == destinations_.end()) return;
    found->second->health.forgive();
    queue_turn(*found->second);
}

void Scheduler::forgive_next_hop(const std::string& next_hop) {
    for (int transport = wire::TRANSPORT_SMTP; transport <= wire::TRANSPORT_FILE; ++transport) {
        forgive({static_cast<wire::Transport>(transport), next_hop});
    }
}

void Scheduler::prune(UnixMillis before) {
    for (auto entry = destinations_.begin(); entry != destinations_.end();) {
        const Destination& destination = *entry->second;
        bool idle = destination.in_flight == 0 && !destination.has_ready() && !destination.in_turn;
        bool old = destination.health.last_failure() < before &&
                   (!destination.health.down() || destination.health.down_until() < before);
        entry = idle && old ? destinations_.erase(entry) : std::next(entry);
    }
}

std::size_t Scheduler::destinations_down() const {
    return static_cast<std::size_t>(
        std::count_if(destinations_.begin(), destinations_.end(),
                      [](const auto& entry) { return entry.second->health.down(); }));
}

}  // namespace postrider::queue_manager
