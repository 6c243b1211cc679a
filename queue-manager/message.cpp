#include "queue-manager/message.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "libcommon/mail/ascii.h"

namespace postrider::queue_manager {

Message::Message(queue_file::Header header_in, wire::Envelope envelope_in, Fd file_in)
    : header(header_in),
      envelope(std::move(envelope_in)),
      file(std::move(file_in)),
      journal_end(header_in.journal_offset()),
      arrived(envelope.arrival_ms()) {
    for (int i = 0; i < envelope.recipients_size(); ++i)
        unresolved.push_back(static_cast<std::uint32_t>(i));
}

Message::Message(queue_file::QueueFile read, Folder folder_in, Fd file_in)
    : header(read.header),
      envelope(std::move(read.envelope)),
      folder(folder_in),
      file(std::move(file_in)),
      journal_end(read.journal_end),
      next_number(read.journal.next_number()),
      delayed_recipients(read.journal.delayed_recipients()),
      rerouted(read.journal.rerouted()),
      arrived(envelope.arrival_ms()) {
    if (read.journal.failing() != nullptr) fail_order = *read.journal.failing();
    if (read.journal.held() != nullptr) hold_order = *read.journal.held();
    if (read.journal.requeued_ms() != 0) envelope.set_arrival_ms(read.journal.requeued_ms());
    for (std::size_t i = 0; i < read.journal.recipients(); ++i) {
        if (!read.journal.resolved(i)) unresolved.push_back(static_cast<std::uint32_t>(i));
    }
    for (const auto& [number, state] : read.journal.deliveries()) {
        ActiveDelivery active;
        active.delivery = state.delivery;
        active.of_recipient = state.recipient;
        active.attempts = state.attempts;
        active.last_attempt = state.last_attempt_ms;
        active.delay_told = state.delay_reported;
        active.due = state.next_attempt_ms;
        active.mx_error_since = state.mx_error_since_ms;
        // One that was released in its life has a time, like any other.
        const bool has_time = state.next_attempt_ms != 0 && state.next_attempt_ms != kNever;
        active.schedule = marked_schedule(state.delivery);
        active.held =
            state.phase == queue_file::DeliveryPhase::Waiting && active.schedule.held() && !has_time;
        if (active.schedule.held() && !active.held) active.schedule = {};
        if (active.schedule.ticks() && !has_time) active.due = active.schedule.next(envelope.arrival_ms());
        active.last_result = state.last_result;
        if (state.phase == queue_file::DeliveryPhase::Expanding) active.phase = Phase::Expanding;
        if (state.phase == queue_file::DeliveryPhase::Delivered) active.phase = Phase::Delivered;
        if (state.phase == queue_file::DeliveryPhase::Failed) {
            active.phase = Phase::Failed;
            // The failure stands in the journal without a report: nobody could be told, so the file is kept.
            // Our own reports carry NOTIFY=NEVER for other hosts, and are kept all the same.
            bool is_told = envelope.report() || wants_failure_report(active.delivery.notify());
            bool is_silent = fail_order && fail_order->silent();
            keep_as_failed = keep_as_failed || (unanswerable() && !state.reported && is_told && !is_silent);
        }
        const bool success_unsaid = active.phase == Phase::Delivered && !state.reported &&
                                    owes_success_report(active.delivery, active.last_result);
        add_delivery(std::move(active));
        // The process ended between the delivery and the report.
        set_success_unsaid(deliveries.back(), success_unsaid);
    }
}

ActiveDelivery* Message::find(std::uint32_t number) {
    auto found = std::lower_bound(deliveries.begin(), deliveries.end(), number,
                                  [](const ActiveDelivery& delivery, std::uint32_t wanted) {
                                      return delivery.delivery.number() < wanted;
                                  });
    return found != deliveries.end() && found->delivery.number() == number ? &*found : nullptr;
}

const ActiveDelivery* Message::find(std::uint32_t number) const {
    return const_cast<Message*>(this)->find(number);
}

bool Message::is_held() const {
    const bool all = std::all_of(deliveries.begin(), deliveries.end(), [](const ActiveDelivery& delivery) {
        return delivery.ended() || (delivery.held && delivery.phase == Phase::Waiting);
    });
    return all && unresolved.empty() && count(Phase::Waiting) > 0;
}

bool Message::is_suspended() const {
    const bool all = std::all_of(deliveries.begin(), deliveries.end(), [](const ActiveDelivery& delivery) {
        return delivery.ended() || (delivery.suspended && delivery.phase == Phase::Waiting);
    });
    return all && unresolved.empty() && count(Phase::Waiting) > 0;
}

bool Message::suspends_something() const {
    return std::any_of(deliveries.begin(), deliveries.end(), [](const ActiveDelivery& delivery) {
        return delivery.suspended && delivery.phase == Phase::Waiting;
    });
}

bool Message::quiet() const {
    return !busy() && count(Phase::FailedUnsaid) == 0 && !has_unsaid_success() && unwritten.empty();
}

bool Message::holds_something() const {
    return std::any_of(deliveries.begin(), deliveries.end(), [](const ActiveDelivery& delivery) {
        return (delivery.held || delivery.schedule.ticks()) && delivery.phase == Phase::Waiting;
    });
}

bool Message::has_called() const {
    return std::any_of(deliveries.begin(), deliveries.end(), [](const ActiveDelivery& delivery) {
        return delivery.outside && delivery.phase == Phase::Waiting;
    });
}

void Message::add_delivery(ActiveDelivery delivery) {
    if (delivery.delivery.same_as() != 0) ++followers_;
    ++counts_[static_cast<std::size_t>(delivery.phase)];
    deliveries.push_back(std::move(delivery));
}

void Message::set_phase(ActiveDelivery& delivery, Phase phase) {
    --counts_[static_cast<std::size_t>(delivery.phase)];
    ++counts_[static_cast<std::size_t>(phase)];
    delivery.phase = phase;
}

void Message::set_success_unsaid(ActiveDelivery& delivery, bool unsaid) {
    if (delivery.success_unsaid == unsaid) return;
    delivery.success_unsaid = unsaid;
    unsaid ? ++unsaid_successes_ : --unsaid_successes_;
    if (is_expansion(delivery.delivery)) unsaid ? ++unsaid_expansions_ : --unsaid_expansions_;
}

const ActiveDelivery* Message::leader_of(const ActiveDelivery& delivery) const {
    if (delivery.delivery.same_as() == 0) return nullptr;
    const ActiveDelivery* leader = find(delivery.delivery.same_as());
    if (leader == nullptr || leader->phase == Phase::Expanding) return nullptr;
    const bool replaced =
        leader->phase == Phase::Delivered && leader->last_result.outcome() == wire::DeliveryResult::EXPANDED;
    return replaced ? nullptr : leader;
}

bool Message::follows(const ActiveDelivery& delivery) const {
    const ActiveDelivery* leader = leader_of(delivery);
    return leader != nullptr && !leader->ended() && leader->phase != Phase::FailedUnsaid;
}

const ActiveDelivery* Message::find_same(const wire::Delivery& delivery) const {
    for (; in_by_effect_ < deliveries.size(); ++in_by_effect_) {
        const wire::Delivery& known = deliveries[in_by_effect_].delivery;
        if (known.same_as() == 0)
            by_effect_.emplace(std::hash<std::string>()(effect_of(known)), known.number());
    }
    const std::string effect = effect_of(delivery);
    const auto [first, last] = by_effect_.equal_range(std::hash<std::string>()(effect));
    for (auto place = first; place != last; ++place) {
        const ActiveDelivery& other = *find(place->second);
        const bool failed = other.phase == Phase::Failed || other.phase == Phase::FailedUnsaid;
        const bool replaced =
            other.phase == Phase::Expanding || other.last_result.outcome() == wire::DeliveryResult::EXPANDED;
        if (!failed && !replaced && can_share_result(other.delivery, delivery) &&
            effect_of(other.delivery) == effect)
            return &other;
    }
    return nullptr;
}

bool Message::owes_success_report(const wire::Delivery& delivery, const wire::DeliveryResult& result) const {
    if (unanswerable() || !wants_success_report(delivery.notify())) return false;
    if (result.outcome() == wire::DeliveryResult::DELIVERED) return true;
    return result.outcome() == wire::DeliveryResult::RELAYED && !result.dsn_passed_on();
}

bool Message::finished() const {
    return unresolved.empty() && !reporting && unsaid_successes_ == 0 &&
           count(Phase::Delivered) + count(Phase::Failed) == deliveries.size();
}

bool Message::busy() const {
    return resolving || reporting || count(Phase::Ready) > 0 || count(Phase::InFlight) > 0;
}

UnixMillis Message::next_due() const {
    UnixMillis next = kNever;
    if (undecided() && !resolving) next = resolve_due;
    for (const auto& delivery : deliveries) {
        if (delivery.phase == Phase::Waiting && !follows(delivery)) next = std::min(next, delivery.due);
    }
    return next;
}

std::vector<std::uint32_t> Message::untold_delays() const {
    std::vector<std::uint32_t> numbers;
    for (const auto& delivery : deliveries) {
        const bool late = delivery.phase == Phase::Waiting && !delivery.held && !delivery.delay_told;
        // Nothing that the sender asked for holds for the members of a list (RFC 3461, 5.2.7.3).
        if (late && wants_delay_report(delivery.delivery.notify()) && !delivery.delivery.has_sender())
            numbers.push_back(delivery.delivery.number());
    }
    return numbers;
}

std::vector<std::uint32_t> Message::untold_unresolved() const {
    std::vector<std::uint32_t> indices;
    for (std::uint32_t index : unresolved) {
        const bool wanted = wants_delay_report(envelope.recipients(static_cast<int>(index)).notify());
        if (wanted && !delayed_recipients.contains(index)) indices.push_back(index);
    }
    return indices;
}

std::vector<std::uint32_t> Message::unsaid(bool success) const {
    std::vector<std::uint32_t> numbers;
    for (const auto& delivery : deliveries) {
        bool wanted = success ? delivery.success_unsaid : delivery.phase == Phase::FailedUnsaid;
        if (wanted) numbers.push_back(delivery.delivery.number());
    }
    return numbers;
}

void apply_schedule(ActiveDelivery& delivery, DeliverySchedule schedule, UnixMillis since, UnixMillis arrival,
                    UnixMillis end) {
    const DeliverySchedule marked = marked_schedule(delivery.delivery);
    const bool has_time = delivery.due != 0 && delivery.due != kNever;
    delivery.schedule = schedule;
    delivery.held = schedule.held();
    if (delivery.held) {
        delivery.due = end;
    } else if (schedule.ticks()) {
        if (!has_time || schedule != marked) delivery.due = schedule.next(std::max(arrival, since));
    } else if (!has_time || marked.is_time(delivery.due)) {
        // It had to wait when its file was written, and has not any more.
        delivery.due = 0;
    }
}

bool is_expansion(const wire::Delivery& delivery) {
    return delivery.transport() == wire::TRANSPORT_ALIAS || delivery.transport() == wire::TRANSPORT_LIST;
}

std::string effect_of(const wire::Delivery& delivery) {
    return fmt::format("{}\n{}\n{}\n{}", static_cast<int>(delivery.transport()), delivery.next_hop(),
                       delivery.recipient(), delivery.local().SerializeAsString());
}

bool can_share_result(const wire::Delivery& one, const wire::Delivery& other) {
    const bool same_time = one.lifetime_seconds() == other.lifetime_seconds() &&
                           one.never_expires() == other.never_expires() && one.hold() == other.hold();
    switch (one.transport()) {
        case wire::TRANSPORT_MAILDIR:
        case wire::TRANSPORT_PROGRAM:
        case wire::TRANSPORT_FILE:
            return same_time;
        case wire::TRANSPORT_SMTP:
            return same_time && one.notify() == other.notify() && one.orcpt() == other.orcpt() &&
                   one.has_sender() == other.has_sender() && one.sender() == other.sender();
        default:
            return false;
    }
}

bool wants_failure_report(std::uint32_t notify) {
    return notify == 0 || ((notify & kNotifyFailure) != 0 && (notify & kNotifyNever) == 0);
}

bool wants_delay_report(std::uint32_t notify) {
    return notify == 0 || ((notify & kNotifyDelay) != 0 && (notify & kNotifyNever) == 0);
}

bool wants_success_report(std::uint32_t notify) {
    return (notify & kNotifySuccess) != 0 && (notify & kNotifyNever) == 0;
}

std::string domain_of(std::string_view address) {
    auto at = address.rfind('@');
    if (at == std::string_view::npos) return {};
    return mail::to_lower(address.substr(at + 1));
}

std::vector<std::string> topics_of(const Message& message) {
    std::set<std::string> topics;
    for (std::uint32_t index : message.unresolved) {
        topics.insert(domain_of(message.envelope.recipients(static_cast<int>(index)).address()));
    }
    for (const auto& delivery : message.deliveries) {
        if (delivery.ended()) continue;
        topics.insert(domain_of(delivery.delivery.recipient()));
        topics.insert(delivery.delivery.next_hop());
    }
    topics.erase("");
    return {topics.begin(), topics.end()};
}

std::optional<std::string> only_next_hop(const Message& message) {
    if (message.undecided()) return std::nullopt;
    std::optional<std::string> next_hop;
    for (const auto& delivery : message.deliveries) {
        if (delivery.ended()) continue;
        if (next_hop && *next_hop != delivery.delivery.next_hop()) return std::nullopt;
        next_hop = delivery.delivery.next_hop();
    }
    return next_hop;
}

}  // namespace postrider::queue_manager
