#include "queue-manager/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "libcommon/queue_file/journal.h"

namespace postrider::queue_manager {

namespace {

using Addresses = std::map<std::uint32_t, std::string>;  // recipients by the number of their delivery

// So many recipients are named; the listing of the message has them all.
constexpr int kMostNamed = 100;

wire::TraceEvent event_at(UnixMillis time, std::string_view name) {
    wire::TraceEvent event;
    event.set_time_ms(time);
    event.set_event(std::string(name));
    return event;
}

void add_unless_empty(wire::TraceEvent& event, std::string_view name, std::string_view value) {
    if (!value.empty()) add_field(event, name, value);
}

std::string angled(const std::string& address) {
    return "<" + address + ">";
}

wire::TraceEvent received(const wire::Envelope& envelope, std::uint64_t size) {
    auto event = event_at(envelope.arrival_ms(), "received");
    add_field(event, "from", angled(envelope.sender()));
    for (int i = 0; i < std::min(envelope.recipients_size(), kMostNamed); ++i)
        add_field(event, "to", angled(envelope.recipients(i).address()));
    if (envelope.recipients_size() > kMostNamed)
        add_field(event, "recipients", std::to_string(envelope.recipients_size()));
    add_unless_empty(event, "client", envelope.client_address());
    add_unless_empty(event, "client_name", envelope.client_name());
    add_unless_empty(event, "helo", envelope.helo());
    add_unless_empty(event, "login", envelope.login());
    add_unless_empty(event, "protocol", envelope.protocol());
    add_field(event, "size", std::to_string(size));
    return event;
}

void add_resolved(const wire::ResolvedRecord& record, const wire::Envelope& envelope, Addresses& addresses,
                  std::vector<wire::TraceEvent>& events) {
    for (const auto& delivery : record.deliveries()) {
        addresses[delivery.number()] = delivery.recipient();
        auto event = event_at(record.time_ms(), record.delivery() == 0 ? "resolved" : "forwarded");
        const bool is_known = record.recipient() < static_cast<std::uint32_t>(envelope.recipients_size());
        const std::string& original =
            record.delivery() != 0 ? addresses[record.delivery()]
            : is_known             ? envelope.recipients(static_cast<int>(record.recipient())).address()
                                   : delivery.original_recipient();
        add_field(event, "recipient", angled(original));
        add_field(event, "to", angled(delivery.recipient()));
        add_unless_empty(event, "next_hop", delivery.next_hop());
        add_unless_empty(event, "error", delivery.error_text());
        add_unless_empty(event, "rule", delivery.rule());
        events.push_back(std::move(event));
    }
}

std::string_view outcome_name(wire::DeliveryResult::Outcome outcome) {
    switch (outcome) {
        case wire::DeliveryResult::DELIVERED:
            return "delivered";
        case wire::DeliveryResult::RELAYED:
            return "relayed";
        case wire::DeliveryResult::FAILED:
            return "failed";
        case wire::DeliveryResult::EXPANDED:
            return "expanded";
        default:
            return "deferred";
    }
}

void add_attempt(const wire::AttemptRecord& record, const Addresses& addresses,
                 std::vector<wire::TraceEvent>& events) {
    for (const auto& result : record.results()) {
        auto event = event_at(record.time_ms(), outcome_name(result.outcome()));
        const auto address = addresses.find(result.number());
        if (address != addresses.end()) add_field(event, "to", angled(address->second));
        add_unless_empty(event, "host", result.remote_host());
        add_unless_empty(event, "status", result.status());
        add_unless_empty(event, "reply", result.text());
        if (result.milliseconds() != 0) add_field(event, "took", fmt::format("{}ms", result.milliseconds()));
        const bool again = result.outcome() == wire::DeliveryResult::DEFERRED &&
                           record.next_attempt_ms() > record.time_ms() && record.next_attempt_ms() + 1 != 0;
        if (again) {
            constexpr std::uint64_t kSecond = 1000;
            add_field(event, "retry_in",
                      fmt::format("{}s", (record.next_attempt_ms() - record.time_ms()) / kSecond));
        }
        events.push_back(std::move(event));
    }
}

void add_order(const wire::OrderRecord& record, std::vector<wire::TraceEvent>& events) {
    static constexpr std::string_view kNames[] = {"",         "held",    "released", "failed_by_order",
                                                  "rerouted", "requeued"};
    const auto action = static_cast<std::size_t>(record.action());
    if (action == 0 || action >= std::size(kNames)) return;
    auto event = event_at(record.time_ms(), kNames[action]);
    add_field(event, "by_uid", std::to_string(record.by()));
    add_unless_empty(event, "text", record.text());
    if (record.silent()) add_field(event, "silent", "yes");
    events.push_back(std::move(event));
}

}  // namespace

void add_field(wire::TraceEvent& event, std::string_view name, std::string_view value) {
    auto* field = event.add_fields();
    field->set_name(std::string(name));
    field->set_value(std::string(value));
}

std::vector<wire::TraceEvent> trace_of(const wire::Envelope& envelope, std::uint64_t size,
                                       const std::vector<wire::JournalRecord>& records) {
    std::vector<wire::TraceEvent> events;
    events.push_back(received(envelope, size));
    if (!envelope.quarantine_rule().empty()) {
        events.push_back(event_at(envelope.arrival_ms(), "quarantined"));
        add_field(events.back(), "reason", envelope.quarantine_reason());
        add_field(events.back(), "rule", envelope.quarantine_rule());
    }
    Addresses addresses;
    for (const auto& record : records) {
        if (record.has_resolved()) add_resolved(record.resolved(), envelope, addresses, events);
        if (record.has_attempt()) add_attempt(record.attempt(), addresses, events);
        if (record.has_order()) add_order(record.order(), events);
        if (!record.has_report()) continue;
        events.push_back(event_at(record.report().time_ms(), "reported"));
        add_field(events.back(), "report", record.report().report_id());
        if (record.report().delay()) add_field(events.back(), "delay", "yes");
    }
    return events;
}

void TraceRing::add(FinishedMessage message) {
    if (limit_ == 0) return;
    if (messages_.size() >= limit_) {
        const auto oldest = numbers_.find(messages_.front().id);
        if (oldest != numbers_.end() && oldest->second == first_) numbers_.erase(oldest);
        messages_.pop_front();
        ++first_;
    }
    numbers_[message.id] = first_ + messages_.size();
    messages_.push_back(std::move(message));
}

const FinishedMessage* TraceRing::find(queue_file::QueueId id) const {
    const auto found = numbers_.find(id);
    return found == numbers_.end() ? nullptr : &messages_[found->second - first_];
}

std::vector<wire::TraceEvent> trace_of(const FinishedMessage& message) {
    wire::Envelope envelope;
    static_cast<void>(envelope.ParseFromString(message.envelope));
    auto records = queue_file::records_in(message.journal);
    records.insert(records.end(), message.unwritten.begin(), message.unwritten.end());
    auto events = trace_of(envelope, message.size, records);
    events.push_back(event_at(message.time, message.event));
    if (message.cut) add_field(events.back(), "note", "what happened before was too much to be kept whole");
    return events;
}

std::uint32_t SenderNames::number(const std::string& domain) {
    const auto found = numbers_.find(domain);
    if (found != numbers_.end()) return found->second;
    if (names_.size() > kMost) return 0;
    const auto number = static_cast<std::uint32_t>(names_.size());
    numbers_.emplace(domain, number);
    names_.push_back(domain);
    return number;
}

const std::string& SenderNames::name(std::uint32_t number) const {
    return names_[number < names_.size() ? number : 0];
}

}  // namespace postrider::queue_manager
