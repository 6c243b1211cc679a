#include "queue-manager/agenda.h"

#include <algorithm>

namespace postrider::queue_manager {

namespace {

// Messages being read at the same time: enough to keep the reading threads busy.
constexpr std::size_t kMaxLoading = 64;
// What was read from disk is at most one in so many of the messages in memory. New mail need not wait for it,
// and a queue of a million costs little more memory while all of it is tried.
constexpr std::size_t kShareOfLoaded = 10;
// While new mail comes in, so many are read in a row, and then there is a pause of this many times the time
// that took.
constexpr std::size_t kSlice = 64;
constexpr UnixMillis kPauseFactor = 7;
constexpr UnixMillis kMaxPause = 50;
// How long a group waits for the message that probes, if nothing is heard of it.
constexpr UnixMillis kProbePatience = 60'000;
// What was turned away because its destination had enough is called when there is room; should that call be
// lost, it comes by itself after this long.
constexpr UnixMillis kCallPatience = 21'600'000;

UnixMillis later(UnixMillis time, Milliseconds by) {
    return time == kNever ? kNever : time + static_cast<UnixMillis>(by.count());
}

DestinationKey smtp_to(const std::string& next_hop) {
    return {wire::TRANSPORT_SMTP, next_hop};
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

void Agenda::enter(std::size_t recipients, bool read) {
    ++messages_;
    if (read) ++read_messages_;
    recipients_ += recipients;
}

void Agenda::leave(QueueId id, UnixMillis& timer, std::size_t recipients, bool read) {
    set_timer(id, timer, 0);
    --messages_;
    if (read) --read_messages_;
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
        if (when > now || due.size() == kStep) break;
        due.push_back(id);
    }
    return due;
}

// ---- messages on disk -------------------------------------------------------------------------------------

std::optional<UnixMillis> Agenda::parked_until(const std::optional<Only>& only, UnixMillis due,
                                               UnixMillis now) const {
    if (!only) return std::nullopt;
    const auto until = scheduler_.refused_until(smtp_to(only->next_hop), now);
    return until && due <= *until ? until : std::nullopt;
}

void Agenda::wait(QueueId id, WaitingIndex::Entry entry, const std::optional<Only>& only, UnixMillis now) {
    if (only && scheduler_.refused_until(smtp_to(only->next_hop), now))
        entry.parked_for = waiting_.topic(only->next_hop);
    if (const auto until = parked_until(only, entry.due, now)) {
        entry.due = only->own_due == kNever ? *until : only->own_due;
        entry.parked_until = *until;
    }
    waiting_.add(id, entry);
}

/// Lets one message of each group whose time has come find out whether the destination is still down.
void Agenda::let_groups_probe(UnixMillis now) {
    while (const auto group = waiting_.first_group(now)) {
        const DestinationKey key = smtp_to(waiting_.topic_name(*group));
        if (const auto until = scheduler_.refused_until(key, now)) {
            waiting_.park_until(*group, *until);
        } else if (!scheduler_.is_down(key)) {
            static_cast<void>(waiting_.release_parked(key.next_hop, now));
        } else {
            waiting_.park_until(*group, now + kProbePatience);
            // Before all else that is due: the others wait for what it finds out.
            static_cast<void>(waiting_.release(*waiting_.first_parked(*group), 0));
        }
    }
}

/// Whether the destination of a message that was released went down again; then all of its group wait again.
bool Agenda::parked_again(QueueId id, UnixMillis now) {
    const auto entry = waiting_.find(id);
    if (!entry->parked_for || entry->due <= now) return false;
    const auto until = scheduler_.refused_until(smtp_to(waiting_.topic_name(*entry->parked_for)), now);
    if (!until) return false;
    waiting_.park_until(*entry->parked_for, *until);
    return true;
}

bool Agenda::may_load() const {
    const std::size_t share = (settings_.active_messages + kShareOfLoaded - 1) / kShareOfLoaded;
    return loading_.size() < kMaxLoading && room_for(1) && read_messages_ < share;
}

/// A message is going to be read. However many are due, new mail must not be slowed by them: when some came
/// while a slice of them was read, there is a pause.
void Agenda::pace(UnixMillis now) {
    if (slice_ == 0) {
        slice_begun_ = now;
        arrivals_before_ = arrivals_;
    }
    if (++slice_ < kSlice) return;
    slice_ = 0;
    if (arrivals_ == arrivals_before_) return;
    pause_until_ = now + std::min(kMaxPause, kPauseFactor * (now - std::min(now, slice_begun_)));
}

std::optional<Agenda::Loading> Agenda::next_to_load(UnixMillis now) {
    if (!may_load() || now < pause_until_) return std::nullopt;
    let_groups_probe(now);
    while (const auto id = waiting_.first_due(now)) {
        if (parked_again(*id, now)) continue;
        pace(now);
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
    const std::string& next_hop = job.destination.next_hop;
    // Also of one that was only thought to be up again: what waits for it went on waiting.
    if (outcome == JobOutcome::Reached) ended.released = waiting_.release_parked(next_hop, now);
    if (effect.parked_until != 0) waiting_.park_until(next_hop, effect.parked_until);
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
    if (due && may_load()) consider(std::max(*due, pause_until_));
    return next;
}

}  // namespace postrider::queue_manager
