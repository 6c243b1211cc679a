#include "queue-manager/message.h"

#include <algorithm>
#include <set>
#include <utility>

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
      delay_reported(read.journal.delay_reported()),
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
        active.due = state.next_attempt_ms;
        active.mx_error_since = state.mx_error_since_ms;
        // One that was released in its life has a time, like any other.
        const bool has_time = state.next_attempt_ms != 0 && state.next_attempt_ms != kNever;
        active.held = state.phase == queue_file::DeliveryPhase::Waiting && state.delivery.hold() && !has_time;
        active.last_result = state.last_result;
        if (state.phase == queue_file::DeliveryPhase::Expanding) active.phase = Phase::Expanding;
        if (state.phase == queue_file::DeliveryPhase::Delivered) active.phase = Phase::Delivered;
        if (state.phase == queue_file::DeliveryPhase::Failed) {
            active.phase = Phase::Failed;
            // The failure stands in the journal without a report: nobody could be told, so the file is kept.
            bool nobody_told = unanswerable() && !state.reported &&
                               !(active.delivery.notify() & kNotifyNever) &&
                               !(fail_order && fail_order->silent());
            keep_as_failed = keep_as_failed || nobody_told;
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
        return delivery.held && delivery.phase == Phase::Waiting;
    });
}

void Message::add_delivery(ActiveDelivery delivery) {
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
        if (delivery.phase == Phase::Waiting) next = std::min(next, delivery.due);
    }
    return next;
}

std::vector<std::uint32_t> Message::unsaid(bool success) const {
    std::vector<std::uint32_t> numbers;
    for (const auto& delivery : deliveries) {
        bool wanted = success ? delivery.success_unsaid : delivery.phase == Phase::FailedUnsaid;
        if (wanted) numbers.push_back(delivery.delivery.number());
    }
    return numbers;
}

bool is_expansion(const wire::Delivery& delivery) {
    return delivery.transport() == wire::TRANSPORT_ALIAS || delivery.transport() == wire::TRANSPORT_LIST;
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
    std::string domain(address.substr(at + 1));
    for (char& c : domain) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return domain;
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
