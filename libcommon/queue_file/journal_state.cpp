#include "libcommon/queue_file/journal_state.h"

#include <algorithm>
#include <limits>

namespace postrider::queue_file {

void JournalState::apply(const wire::JournalRecord& record) {
    switch (record.body_case()) {
        case wire::JournalRecord::kResolved:
            apply_resolved(record.resolved());
            break;
        case wire::JournalRecord::kAttempt:
            apply_attempt(record.attempt());
            break;
        case wire::JournalRecord::kReport:
            apply_report(record.report());
            break;
        case wire::JournalRecord::kOrder:
            apply_order(record.order());
            break;
        case wire::JournalRecord::BODY_NOT_SET:
            break;
    }
}

void JournalState::apply_resolved(const wire::ResolvedRecord& record) {
    if (record.delivery() != 0) return apply_expanded(record);
    if (record.recipient() >= resolved_.size() || resolved_[record.recipient()]) return;
    take_deliveries(record, record.recipient(), incomplete_[record.recipient()]);
    if (record.more()) return;
    incomplete_.erase(record.recipient());
    resolved_[record.recipient()] = true;
}

void JournalState::apply_expanded(const wire::ResolvedRecord& record) {
    auto expanded = deliveries_.find(record.delivery());
    if (expanded == deliveries_.end() || expanded->second.phase != DeliveryPhase::Expanding) return;
    take_deliveries(record, expanded->second.recipient, incomplete_expansions_[record.delivery()]);
    if (record.more()) return;
    incomplete_expansions_.erase(record.delivery());
    expanded->second.phase = DeliveryPhase::Delivered;
}

/// Adds the record's deliveries to `waiting`, and with the last record of several all to the state.
void JournalState::take_deliveries(const wire::ResolvedRecord& record, std::uint32_t recipient,
                                   std::vector<wire::Delivery>& waiting) {
    for (const auto& delivery : record.deliveries()) {
        if (delivery.number() == std::numeric_limits<std::uint32_t>::max()) continue;
        next_number_ = std::max(next_number_, delivery.number() + 1);
        waiting.push_back(delivery);
    }
    if (record.more()) return;
    for (auto& delivery : waiting) {
        std::uint32_t number = delivery.number();
        DeliveryState& state = deliveries_[number];
        state.delay_reported = delivery.delay_told();
        state.delivery = std::move(delivery);
        state.recipient = recipient;
    }
}

void JournalState::apply_attempt(const wire::AttemptRecord& record) {
    ++attempts_;
    for (const auto& result : record.results()) {
        auto found = deliveries_.find(result.number());
        if (found == deliveries_.end()) continue;
        DeliveryState& state = found->second;
        ++state.attempts;
        state.last_result = result;
        state.last_attempt_ms = record.time_ms();
        switch (result.outcome()) {
            case wire::DeliveryResult::DELIVERED:
            case wire::DeliveryResult::RELAYED:
                state.phase = DeliveryPhase::Delivered;
                break;
            case wire::DeliveryResult::EXPANDED:
                if (state.phase == DeliveryPhase::Waiting) state.phase = DeliveryPhase::Expanding;
                break;
            case wire::DeliveryResult::FAILED:
                // A delivery that once succeeded stays so, whatever a later record says.
                if (state.phase == DeliveryPhase::Waiting) state.phase = DeliveryPhase::Failed;
                break;
            default:
                state.next_attempt_ms = record.next_attempt_ms();
                if (result.status() != kMxErrorStatus)
                    state.mx_error_since_ms = 0;
                else if (state.mx_error_since_ms == 0)
                    state.mx_error_since_ms = record.time_ms();
                break;
        }
    }
}

void JournalState::apply_report(const wire::ReportRecord& record) {
    for (std::uint32_t number : record.deliveries()) {
        auto found = deliveries_.find(number);
        if (found == deliveries_.end()) continue;
        (record.delay() ? found->second.delay_reported : found->second.reported) = true;
    }
    for (std::uint32_t recipient : record.recipients()) {
        if (recipient < resolved_.size()) delayed_recipients_.insert(recipient);
    }
}

void JournalState::apply_order(const wire::OrderRecord& record) {
    switch (record.action()) {
        case wire::OrderRecord::HOLD:
            held_ = record;
            break;
        case wire::OrderRecord::RELEASE:
            held_.reset();
            break;
        case wire::OrderRecord::FAIL:
            held_.reset();
            failing_ = record;
            break;
        case wire::OrderRecord::REROUTE:
            resolve_again([](const DeliveryState& state) {
                return state.phase == DeliveryPhase::Waiting || state.phase == DeliveryPhase::Expanding;
            });
            break;
        case wire::OrderRecord::REQUEUE:
            held_.reset();
            failing_.reset();
            requeued_ms_ = record.time_ms();
            delayed_recipients_.clear();
            resolve_again([](const DeliveryState& state) {
                return state.phase != DeliveryPhase::Delivered && !state.reported;
            });
            break;
        default:
            break;
    }
}

/// One record does it all: before it the old deliveries are open, behind it the recipients are, and at no
/// time both or neither.
void JournalState::resolve_again(bool (*which)(const DeliveryState& state)) {
    rerouted_ = true;
    incomplete_.clear();
    incomplete_expansions_.clear();
    std::erase_if(deliveries_, [&](const auto& entry) {
        const DeliveryState& state = entry.second;
        if (!which(state) || state.recipient >= resolved_.size()) return false;
        resolved_[state.recipient] = false;
        return true;
    });
}

bool JournalState::finished() const {
    bool all_resolved = std::find(resolved_.begin(), resolved_.end(), false) == resolved_.end();
    return all_resolved && std::all_of(deliveries_.begin(), deliveries_.end(), [](const auto& entry) {
               return entry.second.phase == DeliveryPhase::Delivered ||
                      entry.second.phase == DeliveryPhase::Failed;
           });
}

}  // namespace postrider::queue_file
