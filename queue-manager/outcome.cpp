#include "queue-manager/outcome.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

namespace postrider::queue_manager {

namespace {

// More would neither fit into a job's frame nor come from an honest router.
constexpr std::size_t kMaxDeliveryBytes = std::size_t{40} << 10;
// The destinations of a forward file have to fit into one question with the delivery that they replace.
constexpr std::size_t kMaxExpansionBytes = std::size_t{22} << 10;
constexpr std::size_t kRecordTarget = std::size_t{128} << 10;
// A reply is kept in memory, journal, log and report; RFC 5321 lets it be 512 octets a line.
constexpr std::size_t kMaxResultText = 2048;
constexpr std::size_t kMaxResultHost = 512;

Milliseconds lifetime_of(const Settings& settings, const Message& message) {
    return message.unanswerable() ? settings.bounce_lifetime : settings.lifetime;
}

Milliseconds lifetime_of(const Settings& settings, const Message& message, const wire::Delivery& delivery) {
    if (delivery.never_expires()) return RetrySchedule::kForever;
    if (delivery.lifetime_seconds() != 0) return Seconds(delivery.lifetime_seconds());
    return lifetime_of(settings, message);
}

/// An enumeration of protobuf can hold any number.
bool is_known(wire::Transport transport) {
    return transport > wire::TRANSPORT_NONE && transport <= wire::TRANSPORT_LIST;
}

void bound(std::string& text, std::size_t limit) {
    if (text.size() > limit) text.resize(limit);
}

wire::Delivery failing_delivery(const wire::Recipient& recipient, const std::string& error) {
    wire::Delivery delivery;
    delivery.set_recipient(recipient.address());
    delivery.set_original_recipient(recipient.address());
    delivery.set_transport(wire::TRANSPORT_ERROR);
    delivery.set_error_text(error);
    delivery.set_notify(recipient.notify());
    delivery.set_orcpt(recipient.orcpt());
    return delivery;
}

/// "5.1.1 text" is status and text; text alone gets `otherwise`.
std::pair<std::string, std::string> split_status(std::string_view text, const char* otherwise) {
    std::size_t blank = text.find(' ');
    std::string_view status = text.substr(0, blank);
    bool is_status = status.size() >= 5 && (status[0] == '4' || status[0] == '5') && status[1] == '.' &&
                     status.find_first_not_of("0123456789.") == std::string_view::npos;
    if (!is_status) return {otherwise, std::string(text)};
    return {std::string(status), std::string(blank == std::string_view::npos ? "" : text.substr(blank + 1))};
}

/// Appends the records of one recipient's deliveries; a record that would get too long is continued by
/// another.
void add_resolved_records(std::uint32_t recipient, std::uint32_t expanded,
                          const std::vector<wire::Delivery>& deliveries,
                          std::vector<wire::JournalRecord>& records) {
    wire::JournalRecord record;
    record.mutable_resolved()->set_recipient(recipient);
    record.mutable_resolved()->set_delivery(expanded);
    std::size_t bytes = 0;
    for (const auto& delivery : deliveries) {
        std::size_t size = delivery.ByteSizeLong();
        if (bytes > 0 && bytes + size > kRecordTarget) {
            wire::JournalRecord part = record;
            part.mutable_resolved()->set_more(true);
            records.push_back(std::move(part));
            record.mutable_resolved()->clear_deliveries();
            bytes = 0;
        }
        *record.mutable_resolved()->add_deliveries() = delivery;
        bytes += size;
    }
    records.push_back(std::move(record));
}

/// If `result` says that a domain which we are a backup MX for has us as its best MX: until when that is
/// taken for a slip in its DNS (mx-backup, 6).
std::optional<UnixMillis> mx_error_end(const Settings& settings, const ActiveDelivery& delivery,
                                       const wire::DeliveryResult& result, UnixMillis now) {
    if (!delivery.delivery.backup() || result.status() != queue_file::kMxErrorStatus) return std::nullopt;
    const UnixMillis since = delivery.mx_error_since == 0 ? now : delivery.mx_error_since;
    return since + static_cast<UnixMillis>(settings.mx_error_grace.count());
}

/// Makes sure that `deliveries` can be journalled and offered.
void replace_unusable(std::vector<wire::Delivery>& deliveries, const wire::Recipient& recipient) {
    for (auto& delivery : deliveries) {
        if (!is_known(delivery.transport())) {
            delivery = failing_delivery(recipient, "5.3.5 the route of this address cannot be used");
        }
        if (delivery.ByteSizeLong() > kMaxDeliveryBytes) {
            delivery = failing_delivery(recipient, "5.3.5 the route of this address is too long to be used");
        }
    }
}

/// Takes away what the message does already, or has it share the result of what does it. If all that is left
/// leads to mailboxes whose forward files were read before, one of them stays: these files may lead to each
/// other and nowhere else, and then nobody would hear of it. With one owner more behind it, the router sees
/// the circle, or the way out of it.
void drop_duplicates(const Message& message, const ActiveDelivery& replaced,
                     std::vector<wire::Delivery>& deliveries) {
    std::map<std::string, const ActiveDelivery*> present;
    for (const auto& other : message.deliveries) {
        const bool is_other = other.delivery.number() != replaced.delivery.number();
        if (is_other && other.phase != Phase::Failed && other.phase != Phase::FailedUnsaid)
            present.emplace(effect_of(other.delivery), &other);
    }
    bool reached = false;
    std::optional<wire::Delivery> read_before;
    const auto is_done = [&](wire::Delivery& delivery) {
        // What is only told, and who to, is never the same.
        if (is_expansion(delivery)) return false;
        const auto [place, is_new] = present.emplace(effect_of(delivery), nullptr);
        if (is_new || delivery.transport() == wire::TRANSPORT_ERROR) {
            reached = true;
            return false;
        }
        const ActiveDelivery* same = place->second;
        if (same != nullptr && !can_share_result(same->delivery, delivery)) {
            reached = true;
            return false;
        }
        const bool was_read = same != nullptr && same->phase == Phase::Delivered &&
                              same->last_result.outcome() == wire::DeliveryResult::EXPANDED;
        reached |= !was_read;
        if (was_read && !read_before) read_before = delivery;
        if (same == nullptr || was_read || same->phase == Phase::Expanding) return true;
        delivery.set_same_as(same->delivery.same_as() != 0 ? same->delivery.same_as()
                                                           : same->delivery.number());
        return false;
    };
    std::vector<wire::Delivery> left;
    for (auto& delivery : deliveries) {
        if (!is_done(delivery)) left.push_back(std::move(delivery));
    }
    if (!reached && read_before) left.push_back(std::move(*read_before));
    deliveries = std::move(left);
}

/// Deliveries of a plan by their effect.
using PlannedEffects = std::unordered_multimap<std::string, wire::Delivery>;

/// Has a new delivery share the result of one that does the same, of the message or among those `planned`.
void share_result(const Message& message, PlannedEffects& planned, wire::Delivery& delivery) {
    if (!can_share_result(delivery, delivery)) return;
    if (const ActiveDelivery* same = message.find_same(delivery))
        return delivery.set_same_as(same->delivery.number());
    const std::string effect = effect_of(delivery);
    const auto [first, last] = planned.equal_range(effect);
    const auto same = std::find_if(
        first, last, [&delivery](const auto& entry) { return can_share_result(entry.second, delivery); });
    if (same != last) return delivery.set_same_as(same->second.number());
    planned.emplace(effect, delivery);
}

/// Who or what gets a message by a delivery, whichever way it takes.
std::string goal_of(const wire::Delivery& delivery) {
    const bool to_command =
        delivery.transport() == wire::TRANSPORT_PROGRAM || delivery.transport() == wire::TRANSPORT_FILE;
    return fmt::format("{}\n{}\n{}", is_expansion(delivery) ? "expansion" : "", delivery.recipient(),
                       to_command ? delivery.local().SerializeAsString() : "");
}

/// Takes away what has ended for the recipient at `index`, who is resolved again: it is not done twice. A
/// mailbox whose forward file was read is not in this sense: what the file leads to may be what is open.
void drop_ended(const Message& message, std::uint32_t index, std::vector<wire::Delivery>& deliveries) {
    std::set<std::string> ended;
    for (const auto& other : message.deliveries) {
        const bool was_read = other.last_result.outcome() == wire::DeliveryResult::EXPANDED;
        if (other.of_recipient == index && other.ended() && !was_read) ended.insert(goal_of(other.delivery));
    }
    std::erase_if(deliveries,
                  [&](const wire::Delivery& delivery) { return ended.count(goal_of(delivery)) > 0; });
}

/// A result that says what a forward file holds, of a delivery that may have one.
bool has_forward_file(const wire::Delivery& delivery, const wire::DeliveryResult& result) {
    return result.outcome() == wire::DeliveryResult::EXPANDED && result.forwarded_size() > 0 &&
           result.ByteSizeLong() <= kMaxExpansionBytes && delivery.local().forward_files_size() > 0;
}

}  // namespace

RetrySchedule default_schedule(const Settings& settings, const Message& message) {
    return {settings.retry, lifetime_of(settings, message), settings.retry_jitter_percent};
}

RetrySchedule schedule_of(const Settings& settings, const Message& message, const wire::Delivery& delivery) {
    std::vector<Milliseconds> intervals;
    for (std::uint32_t seconds : delivery.retry_seconds()) {
        intervals.emplace_back(Seconds(std::max(seconds, 1U)));
    }
    if (intervals.empty()) intervals = settings.retry;
    return {std::move(intervals), lifetime_of(settings, message, delivery), settings.retry_jitter_percent};
}

UnixMillis end_of(const Settings& settings, const Message& message, const wire::Delivery& delivery) {
    return RetrySchedule::expires(message.envelope.arrival_ms(), lifetime_of(settings, message, delivery));
}

DeliveryTimes times_of(const Settings& settings, const Message& message, const ActiveDelivery& delivery) {
    return {schedule_of(settings, message, delivery.delivery), delivery.schedule,
            message.envelope.arrival_ms(), delivery.attempts};
}

bool failure_is_told(const Message& message, const ActiveDelivery& delivery) {
    if (message.fail_order && message.fail_order->silent()) return false;
    // Our own reports carry NOTIFY=NEVER for other hosts; that one of them failed is for the postmaster to
    // know.
    return message.envelope.report() || wants_failure_report(delivery.delivery.notify());
}

Judgement judge(const Settings& settings, const Message& message, const ActiveDelivery& delivery,
                wire::DeliveryResult result, UnixMillis now, const JitterSource& jitter) {
    bound(*result.mutable_text(), kMaxResultText);
    bound(*result.mutable_status(), kMaxResultHost);
    bound(*result.mutable_remote_host(), kMaxResultHost);
    Judgement judgement;
    if (has_forward_file(delivery.delivery, result)) {
        judgement.phase = Phase::Expanding;
        judgement.result = std::move(result);
        return judgement;
    }
    result.clear_forwarded();
    if (result.outcome() != wire::DeliveryResult::DELIVERED &&
        result.outcome() != wire::DeliveryResult::RELAYED &&
        result.outcome() != wire::DeliveryResult::FAILED) {
        // An outcome that this version does not know is a deferral, too: neither lost nor bounced.
        result.set_outcome(wire::DeliveryResult::DEFERRED);
        const auto next = times_of(settings, message, delivery).after_deferral(now, jitter);
        const auto forgiven_until = mx_error_end(settings, delivery, result, now);
        const bool is_mx_error = forgiven_until && now >= *forgiven_until;
        if (next && !is_mx_error) {
            judgement.phase = Phase::Waiting;
            judgement.held = delivery.held;
            judgement.due = forgiven_until ? std::min(*next, *forgiven_until) : *next;
            judgement.result = std::move(result);
            return judgement;
        }
        result.set_outcome(wire::DeliveryResult::FAILED);
        if (is_mx_error) {
            result.set_status("5.4.6");
        } else {
            result.set_text(fmt::format("delivery time expired; the last attempt said: {} {}",
                                        result.status(), result.text()));
            result.set_status("5.4.7");
        }
    }
    if (result.outcome() == wire::DeliveryResult::FAILED) {
        judgement.phase = failure_is_told(message, delivery) ? Phase::FailedUnsaid : Phase::Failed;
    } else {
        judgement.phase = Phase::Delivered;
        judgement.report_success = message.owes_success_report(delivery.delivery, result);
    }
    judgement.result = std::move(result);
    return judgement;
}

std::optional<wire::DeliveryResult> result_without_agent(const wire::Delivery& delivery) {
    wire::DeliveryResult result;
    result.set_number(delivery.number());
    result.set_outcome(wire::DeliveryResult::DELIVERED);
    result.set_status("2.0.0");
    switch (delivery.transport()) {
        case wire::TRANSPORT_ERROR: {
            auto [status, text] = split_status(delivery.error_text(), "5.0.0");
            result.set_outcome(wire::DeliveryResult::FAILED);
            result.set_status(status);
            result.set_text(text);
            return result;
        }
        case wire::TRANSPORT_DISCARD:
            result.set_text("discarded");
            return result;
        case wire::TRANSPORT_ALIAS:
            result.set_text("sent on to several addresses");
            return result;
        case wire::TRANSPORT_LIST:
            result.set_text("sent to the members of the list");
            return result;
        default:
            return std::nullopt;
    }
}

std::vector<wire::JournalRecord> attempt_records(const std::vector<Judgement>& judgements, UnixMillis now) {
    std::map<UnixMillis, wire::JournalRecord> by_time;
    for (const auto& judgement : judgements) {
        if (judgement.phase == Phase::FailedUnsaid) continue;
        const UnixMillis due = judgement.held ? kNever : judgement.due;
        auto& attempt = *by_time[due].mutable_attempt();
        attempt.set_time_ms(now);
        attempt.set_next_attempt_ms(due);
        *attempt.add_results() = judgement.result;
    }
    std::vector<wire::JournalRecord> records;
    records.reserve(by_time.size());
    for (auto& [time, record] : by_time)
        records.push_back(std::move(record));
    return records;
}

ResolutionPlan plan_resolution(const Settings& settings, const Message& message,
                               const std::vector<std::uint32_t>& indices, std::vector<Resolution> resolutions,
                               UnixMillis now) {
    ResolutionPlan plan;
    std::uint32_t number = message.next_number;
    PlannedEffects planned;
    bool expired = now >= default_schedule(settings, message).expires(message.envelope.arrival_ms());
    for (std::size_t i = 0; i < resolutions.size() && i < indices.size(); ++i) {
        std::uint32_t index = indices[i];
        const auto& recipient = message.envelope.recipients(static_cast<int>(index));
        auto deliveries = std::move(resolutions[i].deliveries);
        const Error& error = resolutions[i].error;
        if (deliveries.empty() && error.temporary() && !expired) {
            plan.error = error.text.empty() ? "the router gave no answer" : error.text;
            continue;
        }
        if (deliveries.empty() && error.temporary()) {
            deliveries.push_back(
                failing_delivery(recipient, "5.4.7 delivery time expired; routing said: " + error.text));
        } else if (deliveries.empty()) {
            deliveries.push_back(failing_delivery(recipient, error.text));
        }
        replace_unusable(deliveries, recipient);
        if (message.rerouted) drop_ended(message, index, deliveries);
        for (auto& delivery : deliveries) {
            delivery.set_number(number++);
            delivery.set_delay_told(message.delayed_recipients.contains(index));
            share_result(message, planned, delivery);
        }
        add_resolved_records(index, 0, deliveries, plan.records);
        plan.recipients.push_back(index);
        std::move(deliveries.begin(), deliveries.end(), std::back_inserter(plan.deliveries));
    }
    return plan;
}

ResolutionPlan plan_expansion(const Settings& settings, const Message& message,
                              const ActiveDelivery& replaced, Resolution resolution, UnixMillis now) {
    ResolutionPlan plan;
    const bool expired = now >= end_of(settings, message, replaced.delivery);
    const Error& error = resolution.error;
    if (resolution.deliveries.empty() && error.temporary() && !expired) {
        plan.error = error.text.empty() ? "the router gave no answer" : error.text;
        return plan;
    }
    wire::Recipient recipient;
    recipient.set_address(replaced.delivery.original_recipient());
    recipient.set_notify(replaced.delivery.notify());
    recipient.set_orcpt(replaced.delivery.orcpt());
    auto deliveries = std::move(resolution.deliveries);
    if (deliveries.empty()) {
        const std::string text =
            error.temporary() ? "5.4.7 delivery time expired; routing said: " + error.text : error.text;
        deliveries.push_back(failing_delivery(recipient, text));
        deliveries.front().set_recipient(replaced.delivery.recipient());
    }
    replace_unusable(deliveries, recipient);
    drop_duplicates(message, replaced, deliveries);
    std::uint32_t number = message.next_number;
    for (auto& delivery : deliveries) {
        delivery.set_number(number++);
        delivery.set_delay_told(replaced.delay_told);
    }
    plan.expanded = replaced.delivery.number();
    add_resolved_records(0, plan.expanded, deliveries, plan.records);
    plan.deliveries = std::move(deliveries);
    return plan;
}

void apply_resolution(Message& message, ResolutionPlan plan) {
    if (ActiveDelivery* replaced = message.find(plan.expanded)) {
        message.set_phase(*replaced, Phase::Delivered);
        replaced->last_result.clear_forwarded();
    }
    for (auto& delivery : plan.deliveries) {
        message.next_number = delivery.number() + 1;
        ActiveDelivery active;
        active.delivery = std::move(delivery);
        active.delay_told = active.delivery.delay_told();
        message.add_delivery(std::move(active));
    }
    std::erase_if(message.unresolved, [&](std::uint32_t index) {
        return std::binary_search(plan.recipients.begin(), plan.recipients.end(), index);
    });
    message.resolve_error = std::move(plan.error);
}

}  // namespace postrider::queue_manager
