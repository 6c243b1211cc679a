#include "queue-manager/scheduler.h"

#include <algorithm>
#include <utility>

namespace postrider::queue_manager {

namespace {

bool is_local(wire::Transport transport) {
    return transport == wire::TRANSPORT_MAILDIR || transport == wire::TRANSPORT_PROGRAM ||
           transport == wire::TRANSPORT_FILE;
}

Trust trust_of(const DestinationKey& key, const Health& health) {
    return is_local(key.transport) ? Trust::Proven : health.trust();
}

}  // namespace

// ---- destinations -----------------------------------------------------------------------------------------

Scheduler::Destination* Scheduler::find(const DestinationKey& key) const {
    const auto found = destinations_.find(key);
    return found == destinations_.end() ? nullptr : found->second.get();
}

HealthSettings Scheduler::health_settings(const DestinationKey& key, const RouteLimits& limits) const {
    HealthSettings health = settings_.health;
    if (is_local(key.transport)) {
        health.initial_window = settings_.local_window;
        health.max_window = settings_.local_window;
    }
    if (limits.connections != 0) {
        health.max_window = limits.connections;
        health.initial_window = std::min(health.initial_window, limits.connections);
    }
    return health;
}

Scheduler::Destination& Scheduler::destination_for(const DestinationKey& key) {
    if (Destination* found = find(key)) return *found;
    auto made = destinations_.emplace(key, std::make_unique<Destination>(key, health_settings(key, {})));
    return *made.first->second;
}

/// A route may have changed since older messages were resolved, so the newest one knows best.
void Scheduler::take_limits(Destination& destination, const RouteLimits& limits, QueueId message) {
    if (message < destination.limits_of) return;
    destination.limits_of = message;
    if (limits == destination.limits) return;
    destination.limits = limits;
    destination.health.set_windows(health_settings(destination.key, limits));
    destination.rate.set(limits.rate, limits.rate_period);
    // It may go on earlier than the old rate let it.
    if (destination.paused_until) pause(destination, 0);
}

/// Forgets a destination without work, at once if nothing is known of it.
void Scheduler::settle(Destination& destination, UnixMillis now) {
    in_use(destination);
    if (destination.in_flight > 0 || !destination.list.idle() || destination.in_turn) return;
    if (destination.health.pristine() && destination.rate.unused(now)) {
        if (destination.paused_until) paused_.erase({*destination.paused_until, &destination});
        destinations_.erase(destination.key);
        return;
    }
    destination.idle_since = now;
    idle_.emplace(now, &destination);
}

void Scheduler::in_use(Destination& destination) {
    if (!destination.idle_since) return;
    idle_.erase({*destination.idle_since, &destination});
    destination.idle_since.reset();
}

void Scheduler::prune(UnixMillis before) {
    while (!idle_.empty() && idle_.begin()->first < before) {
        Destination& destination = *idle_.begin()->second;
        in_use(destination);
        // What is still to be left alone is looked at again when that is over.
        const UnixMillis last = std::max(destination.health.down() ? destination.health.down_until() : 0,
                                         destination.rate.unused(before) ? 0 : before);
        if (last >= before) {
            destination.idle_since = last;
            idle_.emplace(last, &destination);
            continue;
        }
        if (destination.health.known_down()) --down_;
        if (destination.paused_until) paused_.erase({*destination.paused_until, &destination});
        destinations_.erase(destination.key);
    }
}

// ---- turns ------------------------------------------------------------------------------------------------

std::list<Scheduler::Destination*>& Scheduler::line(const Destination& destination, Trust trust) {
    return turns_[static_cast<std::size_t>(destination.key.transport)].of[static_cast<std::size_t>(trust)];
}

/// Puts a destination behind those that are trusted like it, unless it stands there already.
void Scheduler::queue_turn(Destination& destination) {
    if (destination.paused_until || destination.list.empty()) return;
    const Trust trust = trust_of(destination.key, destination.health);
    if (destination.in_turn == trust) return;
    leave_turns(destination);
    auto& behind = line(destination, trust);
    destination.turn = behind.insert(behind.end(), &destination);
    destination.in_turn = trust;
}

void Scheduler::leave_turns(Destination& destination) {
    if (!destination.in_turn) return;
    line(destination, *destination.in_turn).erase(destination.turn);
    destination.in_turn.reset();
}

void Scheduler::pause(Destination& destination, UnixMillis until) {
    if (destination.paused_until) paused_.erase({*destination.paused_until, &destination});
    destination.paused_until = until;
    paused_.emplace(until, &destination);
}

void Scheduler::wake(UnixMillis now) {
    while (!paused_.empty() && paused_.begin()->first <= now) {
        Destination& destination = *paused_.begin()->second;
        paused_.erase(paused_.begin());
        destination.paused_until.reset();
        queue_turn(destination);
        settle(destination, now);
    }
}

std::optional<UnixMillis> Scheduler::next_wake() const {
    if (paused_.empty()) return std::nullopt;
    return paused_.begin()->first;
}

bool Scheduler::may_start(Destination& destination, UnixMillis now) {
    if (destination.list.empty() || destination.in_flight >= destination.health.window(now)) return false;
    const UnixMillis room = destination.rate.next_room(now);
    if (room > now) pause(destination, room);
    return room <= now;
}

// ---- offers and jobs --------------------------------------------------------------------------------------

std::optional<UnixMillis> Scheduler::down_until(const Destination& destination, UnixMillis now) {
    if (!destination.health.down()) return std::nullopt;
    if (now < destination.health.down_until()) return destination.health.down_until();
    // The dead time is over: one message is the probe, and the others wait for what it finds out. They are
    // released when it succeeds; the time given here only matters when the probe takes long.
    constexpr UnixMillis kProbePatience = 60'000;
    if (destination.in_flight > 0 || !destination.list.empty()) return now + kProbePatience;
    return std::nullopt;
}

std::optional<UnixMillis> Scheduler::refused_until(const DestinationKey& key, UnixMillis now) const {
    const Destination* destination = find(key);
    return destination == nullptr ? std::nullopt : down_until(*destination, now);
}

/// What a message tells of its destination by being there.
void Scheduler::take_evidence(Destination& destination, bool deferred_before) {
    if (!deferred_before) return destination.health.clear_suspicion();
    const bool unknown = destination.health.pristine() && destination.in_flight == 0;
    if (unknown && destination.list.idle() && !is_local(destination.key.transport)) {
        destination.health.suspect();
    }
}

std::optional<Refusal> Scheduler::add(Offer offer, UnixMillis now) {
    Destination& destination = destination_for(offer.destination);
    take_limits(destination, offer.limits, offer.message);
    take_evidence(destination, offer.deferred_before);
    if (const auto until = down_until(destination, now))
        return Refusal{*until, now >= destination.health.down_until()};
    in_use(destination);
    const std::size_t count = offer.deliveries.size();
    const bool taken = destination.list.add(
        offer.sender, offer.report, {offer.message, std::move(offer.deliveries)}, settings_.ready_messages);
    if (!taken) return Refusal{Refusal::kWhenCalled};
    ready_ += count;
    queue_turn(destination);
    return std::nullopt;
}

Job Scheduler::take_job(Destination& destination, UnixMillis now) {
    std::size_t most = settings_.recipients_per_job;
    if (destination.limits.recipients != 0) most = destination.limits.recipients;
    // A local delivery is reported, and so journalled, as soon as it is done, not with 49 others.
    if (is_local(destination.key.transport)) most = 1;
    ReadyList::Taken taken = destination.list.take(most, settings_.frame_bytes_per_job);
    Job job;
    job.number = next_job_++;
    job.message = taken.message.message;
    job.destination = destination.key;
    job.sender = std::move(taken.sender);
    job.report = taken.report;
    job.trust = trust_of(destination.key, destination.health);
    job.limits = destination.limits;
    job.deliveries = std::move(taken.message.deliveries);
    ready_ -= job.deliveries.size();
    destination.rate.count(now);
    ++destination.in_flight;
    jobs_.emplace(job.number, job);
    return job;
}

std::optional<Job> Scheduler::next(TransportSet transports, UnixMillis now, Trust least) {
    wake(now);
    for (std::size_t i = 0; i < turns_.size(); ++i) {
        const std::size_t transport = (next_transport_ + i) % turns_.size();
        if (!transports.test(transport)) continue;
        Destination* destination = next_turn(turns_[transport], now, least);
        if (destination == nullptr) continue;
        next_transport_ = transport + 1;
        Job job = take_job(*destination, now);
        queue_turn(*destination);
        return job;
    }
    return std::nullopt;
}

/// Whose turn it is among the destinations of a transport; nullptr if none of them may start a job.
Scheduler::Destination* Scheduler::next_turn(Turns& turns, UnixMillis now, Trust least) {
    for (std::size_t i = 0; i < kTrusts; ++i) {
        const std::size_t trust = (turns.next + i) % kTrusts;
        if (trust < static_cast<std::size_t>(least)) continue;
        while (!turns.of[trust].empty()) {
            Destination& destination = *turns.of[trust].front();
            leave_turns(destination);
            if (may_start(destination, now)) {
                turns.next = trust + 1;
                return &destination;
            }
            settle(destination, now);
        }
    }
    return nullptr;
}

void Scheduler::end_job(Destination& destination, const Job& job, JobOutcome outcome, UnixMillis now,
                        Milliseconds retry_in, Effect& effect) {
    const bool was_down = destination.health.known_down();
    if (outcome == JobOutcome::Reached) {
        effect.recovered = destination.health.succeeded();
    } else if (outcome == JobOutcome::NotReached && destination.health.failed(now, retry_in, jitter_)) {
        effect.parked = destination.list.take_all();
        effect.parked_until = destination.health.down_until();
        for (const ReadyMessage& parked : effect.parked)
            ready_ -= parked.deliveries.size();
    }
    if (was_down != destination.health.known_down()) was_down ? --down_ : ++down_;
    if (!destination.health.down()) {
        effect.called = destination.list.take_called(job.sender, job.report, settings_.ready_messages);
    }
}

Scheduler::Effect Scheduler::finished(std::uint64_t number, JobOutcome outcome, UnixMillis now,
                                      Milliseconds retry_in) {
    Effect effect;
    const auto found = jobs_.find(number);
    if (found == jobs_.end()) return effect;
    const Job job = std::move(found->second);
    jobs_.erase(found);
    Destination& destination = destination_for(job.destination);
    --destination.in_flight;
    end_job(destination, job, outcome, now, retry_in, effect);
    queue_turn(destination);
    settle(destination, now);
    return effect;
}

std::optional<UnixMillis> Scheduler::give_back(std::uint64_t number, UnixMillis now) {
    const auto found = jobs_.find(number);
    if (found == jobs_.end()) return std::nullopt;
    Job job = std::move(found->second);
    jobs_.erase(found);
    Destination& destination = destination_for(job.destination);
    --destination.in_flight;
    if (const auto until = down_until(destination, now)) {
        settle(destination, now);
        return until;
    }
    ready_ += job.deliveries.size();
    destination.list.give_back(job.sender, job.report, {job.message, std::move(job.deliveries)});
    queue_turn(destination);
    return std::nullopt;
}

// ---- health -----------------------------------------------------------------------------------------------

UnixMillis Scheduler::last_failure(const DestinationKey& key) const {
    const Destination* destination = find(key);
    return destination == nullptr ? 0 : destination->health.last_failure();
}

bool Scheduler::is_down(const DestinationKey& key) const {
    const Destination* destination = find(key);
    return destination != nullptr && destination->health.down();
}

void Scheduler::forgive(const DestinationKey& key) {
    Destination* destination = find(key);
    if (destination == nullptr) return;
    if (destination->health.known_down()) --down_;
    destination->health.forgive();
    queue_turn(*destination);
}

}  // namespace postrider::queue_manager
