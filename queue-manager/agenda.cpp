#include "queue-manager/agenda.h"

#include <algorithm>

namespace postrider::queue_manager {

namespace {

// Messages being read at the same time: enough to keep the reading threads busy.
constexpr std::size_t kMaxLoading = 64;
// What was turned away because its destination had enough is called when there is room; should that call be
// lost, it comes by itself after this long.
constexpr UnixMillis kCallPatience = 21'600'000;

UnixMillis later(UnixMillis time, Milliseconds by) {
    return time == kNever ? kNever : time + static_cast<UnixMillis>(by.count());
}

}  // namespace

std::optional<UnixMillis> DeliveryTimes::after_deferral(UnixMillis now, const JitterSource& jitter) const {
    if (schedule.kind == DeliverySchedule::Kind::Immediate)
        return retry.next_attempt(now, arrival, attempts + 1, jitter);
    if (now >= end()) return std::nullopt;
    return schedule.held() ? end() : schedule.next(now);
}

Agenda::Agenda(const Settings& settings, JitterSource jitter)
    : settings_(settings), scheduler_(settings.scheduler, std::move(jitter)) {}

// ---- messages in memory -----------------------------------------------------------------------------------

bool Agenda::room_for(std::size_t recipients) const {
    return messages_ < settings_.active_messages &&
           (messages_ == 0 || recipients_ + recipients <= settings_.active_recipients);
}

void Agenda::enter(std::size_t recipients) {
    ++messages_;
    recipients_ += recipients;
}

void Agenda::leave(QueueId id, UnixMillis& timer, std::size_t recipients) {
    set_timer(id, timer, 0);
    --messages_;
    recipients_ -= recipients;
}

void Agenda::set_timer(QueueId id, UnixMillis& timer, UnixMillis when) {
    if (when == kNever) when = 0;
    if (when == timer) return;
    if (timer != 0) timers_.erase({timer, id});
    timer = when;
    if (when != 0) timers_.emplace(when, id);
}

std::vector<QueueId> Agenda::timers_due(UnixMillis now) const {
    std::vector<QueueId> due;
    for (const auto& [when, id] : timers_) {
        if (when > now) break;
        due.push_back(id);
    }
    return due;
}

// ---- messages on disk -------------------------------------------------------------------------------------

void Agenda::wait(QueueId id, WaitingIndex::Entry entry, const std::optional<Only>& only, UnixMillis now) {
    if (only) {
        const DestinationKey key{wire::TRANSPORT_SMTP, only->next_hop};
        if (scheduler_.refused_until(key, now)) {
            entry.parked_for = waiting_.topic(only->next_hop);
            scheduler_.note_lifetime(key, only->lifetime);
        }
    }
    waiting_.add(id, std::move(entry));
}

/// Whether a message whose time has come need not be read, because its destination is still down and nothing
/// else is to be done for it. It gets a new time then.
bool Agenda::still_parked(QueueId id, const WaitingIndex::Entry& entry, UnixMillis now) {
    if (!entry.parked_for) return false;
    const DestinationKey key{wire::TRANSPORT_SMTP, waiting_.topic_name(*entry.parked_for)};
    const auto until = scheduler_.refused_until(key, now);
    if (!until) return false;
    const auto passed = [&](Milliseconds age) {
        return age != RetrySchedule::kForever && now >= later(id.milliseconds(), age);
    };
    if (passed(scheduler_.shortest_lifetime(key))) return false;
    if (entry.delay_pending && passed(settings_.delay_warning)) return false;
    waiting_.set_due(id, *until);
    return true;
}

bool Agenda::may_load() const {
    return loading_.size() < kMaxLoading && room_for(1);
}

std::optional<Agenda::Loading> Agenda::next_to_load(UnixMillis now) {
    while (may_load()) {
        const auto id = waiting_.first_due(now);
        if (!id) return std::nullopt;
        if (still_parked(*id, *waiting_.find(*id), now)) continue;
        Loading loading{*id, *waiting_.take(*id)};
        loading_.emplace(loading.id, loading.entry.folder);
        return loading;
    }
    return std::nullopt;
}

// ---- deliveries -------------------------------------------------------------------------------------------

UnixMillis Agenda::hard_end(UnixMillis end) const {
    if (end == kNever) return kNever;
    return later(std::max(end, started_), settings_.lifetime2);
}

Agenda::Postponement Agenda::postpone(const Refusal& refusal, const DeliveryTimes& times,
                                      const DestinationKey& destination, UnixMillis now) const {
    // The attempts of other messages count for this one, too: the destination was tried in its life.
    const bool tried = times.attempts > 0 || scheduler_.last_failure(destination) >= times.arrival;
    const UnixMillis end = times.end();
    const UnixMillis last = hard_end(end);
    if ((tried && now >= end) || now >= last) return {true, 0};
    if (refusal.full()) return {false, std::min(now < end ? end : last, now + kCallPatience)};
    if (times.schedule.held()) return {false, end};
    if (times.schedule.ticks() && !refusal.probing) return {false, times.schedule.next(now)};
    return {false, refusal.until};
}

Agenda::Ended Agenda::finished(const Job& job, JobOutcome outcome, UnixMillis now, Milliseconds retry_in) {
    Scheduler::Effect effect = scheduler_.finished(job.number, outcome, now, retry_in);
    Ended ended;
    ended.recovered = effect.recovered;
    ended.parked = std::move(effect.parked);
    ended.parked_until = effect.parked_until;
    if (effect.recovered) ended.released = waiting_.release_parked(job.destination.next_hop, now);
    for (QueueId id : effect.called) {
        if (!waiting_.release(id, now)) ended.called.push_back(id);
    }
    return ended;
}

std::optional<UnixMillis> Agenda::next_event() const {
    std::optional<UnixMillis> next = scheduler_.next_wake();
    const auto consider = [&next](UnixMillis time) { next = next ? std::min(*next, time) : time; };
    if (!timers_.empty()) consider(timers_.begin()->first);
    const auto due = waiting_.next_due();
    if (due && may_load()) consider(*due);
    return next;
}

}  // namespace postrider::queue_manager
