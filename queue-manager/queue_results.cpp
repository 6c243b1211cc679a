// What agents report, and what follows from it.

#include <algorithm>
#include <map>
#include <utility>

#include "libcommon/log/log.h"
#include "queue-manager/queue.h"

namespace postrider::queue_manager {

namespace {

// An agent that dies with the same delivery in hand so often is not given it again at once: the message may
// be what kills it.
constexpr std::uint32_t kMaxLostJobs = 3;

// Results of late reports that wait for their messages to be read.
constexpr std::size_t kMaxLateResults = 50'000;

std::string_view event_of(const wire::Delivery& delivery, const Judgement& judgement) {
    switch (judgement.phase) {
        case Phase::Delivered:
            if (is_expansion(delivery)) return "expanded";
            return judgement.result.outcome() == wire::DeliveryResult::RELAYED ? "relayed" : "delivered";
        case Phase::Expanding:
            return "expanded";
        case Phase::Failed:
        case Phase::FailedUnsaid:
            return "failed";
        default:
            return "deferred";
    }
}

wire::DeliveryResult no_result(std::uint32_t number, const char* text) {
    wire::DeliveryResult result;
    result.set_number(number);
    result.set_status("4.3.0");
    result.set_text(text);
    return result;
}

}  // namespace

void Queue::job_done(const Job& job, const std::vector<wire::DeliveryResult>& results) {
    Message* message = find(job.message);
    auto outcome = JobOutcome::Unknown;
    Milliseconds retry_in = settings_.retry.front();
    if (message != nullptr) {
        std::vector<wire::DeliveryResult> taken;
        for (const auto& ready : job.deliveries) {
            auto result = std::find_if(results.begin(), results.end(), [&](const auto& candidate) {
                return candidate.number() == ready.number;
            });
            taken.push_back(result != results.end() ? *result
                                                    : no_result(ready.number, "the agent gave no result"));
            if (result == results.end()) continue;
            if (outcome == JobOutcome::Unknown) outcome = JobOutcome::Reached;
            if (result->destination_down()) outcome = JobOutcome::NotReached;
        }
        const ActiveDelivery* first = message->find(job.deliveries.front().number);
        retry_in = schedule_of(settings_, *message, first->delivery).interval(first->attempts + 1);
        take_results(*message, std::move(taken));
        advance(*message);
    }
    if (outcome == JobOutcome::NotReached) note_failure(job, results);
    job_ended(job, outcome, retry_in);
}

void Queue::job_ended(const Job& job, JobOutcome outcome, Milliseconds retry_in) {
    const Agenda::Ended ended = agenda_.finished(job, outcome, now(), retry_in);
    park_later(ended);
    offer_called(ended, job.destination);
    if (ended.recovered || ended.released > 0) {
        log::info("destination_is_up")
            .add("next_hop", job.destination.next_hop)
            .add("released", ended.released);
    }
    if (ended.parked_until != 0) {
        log::warning("destination_is_down")
            .add("next_hop", job.destination.next_hop)
            .add("until", Milliseconds(ended.parked_until - std::min(now(), ended.parked_until)))
            .add("parked", ended.parked.size());
    }
    arm();
}

void Queue::job_lost(const Job& job) {
    ++counters_.lost_jobs;
    Message* message = find(job.message);
    if (message == nullptr) {
        job_ended(job, JobOutcome::Unknown, Milliseconds(0));
        return;
    }
    std::uint32_t lost = 0;
    for (const auto& ready : job.deliveries) {
        lost = std::max(lost, ++message->find(ready.number)->lost_jobs);
    }
    if (lost >= kMaxLostJobs) {
        for (const auto& ready : job.deliveries)
            message->find(ready.number)->lost_jobs = 0;
        return job_done(job, {});
    }
    auto refused = agenda_.scheduler().give_back(job.number, now());
    for (const auto& ready : job.deliveries) {
        ActiveDelivery& delivery = *message->find(ready.number);
        if (refused) {
            park(*message, delivery, *refused);
        } else {
            message->set_phase(delivery, Phase::Ready);
        }
    }
    // One with an order is taken off the lists again at once.
    if (refused || ordered(job.message)) advance(*message);
}

void Queue::late_report(QueueId id, TransportSet transports, std::vector<wire::DeliveryResult> results) {
    if (!folder_of(id) || late_results_ + results.size() > kMaxLateResults) return;
    auto& late = late_reports_[id];
    late_results_ += results.size();
    for (auto& result : results)
        late.push_back({transports, std::move(result)});
    Message* message = find(id);
    if (message != nullptr) {
        apply_late_report(*message);
        return advance(*message);
    }
    agenda_.waiting().release(id, now());
    arm();
}

void Queue::apply_late_report(Message& message) {
    auto found = late_reports_.find(message.id());
    if (found == late_reports_.end()) return;
    std::vector<LateResult> late = std::move(found->second);
    late_reports_.erase(found);
    late_results_ -= late.size();
    std::vector<wire::DeliveryResult> results;
    for (auto& [transports, result] : late) {
        const ActiveDelivery* delivery = message.find(result.number());
        if (delivery == nullptr) continue;
        // One that is in flight again has a report of its own to come; one of a transport that the agent may
        // not take was never given to it.
        bool still_open = delivery->phase == Phase::Waiting || delivery->phase == Phase::Ready;
        bool may_know = transports.test(static_cast<std::size_t>(delivery->delivery.transport()));
        if (still_open && may_know) results.push_back(std::move(result));
    }
    if (results.empty()) return;
    log::info("late_report").add("id", message.id().text()).add("deliveries", results.size());
    take_results(message, std::move(results));
}

/// Adds the same results for the deliveries that wait for them.
void Queue::add_shared_results(const Message& message, std::vector<wire::DeliveryResult>& results) {
    if (!message.has_followers()) return;
    std::map<std::uint32_t, wire::DeliveryResult> by_number;
    for (const auto& result : results)
        by_number.emplace(result.number(), result);
    for (const auto& delivery : message.deliveries) {
        if (delivery.phase != Phase::Waiting || !message.follows(delivery)) continue;
        const auto found = by_number.find(delivery.delivery.same_as());
        if (found == by_number.end() || by_number.contains(delivery.delivery.number())) continue;
        results.push_back(found->second);
        results.back().set_number(delivery.delivery.number());
    }
}

wire::DeliveryResult Queue::shared_result(const wire::Delivery& delivery, const ActiveDelivery& leader) {
    wire::DeliveryResult result = leader.last_result;
    result.set_number(delivery.number());
    return result;
}

void Queue::take_results(Message& message, std::vector<wire::DeliveryResult> results) {
    add_shared_results(message, results);
    std::vector<Judgement> judgements;
    for (auto& result : results) {
        ActiveDelivery* delivery = message.find(result.number());
        if (delivery == nullptr || delivery->ended()) continue;
        judgements.push_back(judge(settings_, message, *delivery, std::move(result), now(), jitter_));
        conclude(message, *delivery, judgements.back());
    }
    journal_unless_finished(message, attempt_records(judgements, now()));
}

void Queue::conclude(Message& message, ActiveDelivery& delivery, const Judgement& judgement) {
    ++delivery.attempts;
    delivery.last_attempt = now();
    delivery.due = judgement.due;
    delivery.last_result = judgement.result;
    note_mx_error(message, delivery);
    tell_of_mailbox(delivery);
    message.set_phase(delivery, judgement.phase);
    log_result(message, delivery, judgement);
    switch (judgement.phase) {
        case Phase::Delivered:
            if (!is_expansion(delivery.delivery)) {
                ++(judgement.result.outcome() == wire::DeliveryResult::RELAYED ? counters_.relayed
                                                                               : counters_.delivered);
            }
            message.set_success_unsaid(delivery, judgement.report_success);
            break;
        case Phase::Expanding:
            // The router is asked at once; what it could not decide before is asked again with it.
            message.resolve_due = 0;
            message.scan_due = 0;
            break;
        case Phase::FailedUnsaid:
            if (message.first_failure == 0) message.first_failure = now();
            ++counters_.failed;
            break;
        case Phase::Failed:
            ++counters_.failed;
            break;
        default:
            ++counters_.deferred;
            message.scan_due = std::min(message.scan_due, judgement.due);
            break;
    }
}

void Queue::tell_of_mailbox(const ActiveDelivery& delivery) {
    const auto news = mailbox_news_.after(delivery.delivery, delivery.last_result, now());
    if (news == MailboxNews::News::None) return;
    resolver_.tell_mailbox(delivery.delivery.local().path(), news == MailboxNews::News::Full);
}

void Queue::note_mx_error(const Message& message, ActiveDelivery& delivery) const {
    if (delivery.last_result.status() != queue_file::kMxErrorStatus) {
        delivery.mx_error_since = 0;
        return;
    }
    if (delivery.mx_error_since != 0) return;
    delivery.mx_error_since = now();
    // Nobody but the administrators of the two hosts can mend this, and the sender hears of it last.
    log::error("backup_is_best_mx")
        .add("id", message.id().text())
        .add("domain", domain_of(delivery.delivery.recipient()))
        .add("returned_in", settings_.mx_error_grace)
        .add("rule", delivery.delivery.rule());
}

void Queue::log_result(const Message& message, const ActiveDelivery& delivery,
                       const Judgement& judgement) const {
    const wire::DeliveryResult& result = judgement.result;
    UnixMillis time = now();
    log::Line line(log::Level::Info, event_of(delivery.delivery, judgement));
    line.add("id", message.id().text()).add_address("to", delivery.delivery.recipient());
    if (delivery.delivery.original_recipient() != delivery.delivery.recipient()) {
        line.add_address("orig_to", delivery.delivery.original_recipient());
    }
    if (!result.remote_host().empty()) line.add("host", result.remote_host());
    line.add("status", result.status()).add("reply", result.text());
    line.add("delay", Milliseconds(time - std::min(time, message.envelope.arrival_ms())));
    line.add("took", Milliseconds(result.milliseconds()));
    if (judgement.phase == Phase::Waiting) {
        if (delivery.held)
            line.add("held", "until its domain is flushed");
        else
            line.add("retry_in", Milliseconds(judgement.due - std::min(judgement.due, time)));
    }
    if (const ActiveDelivery* leader = message.leader_of(delivery))
        line.add_address("copy_of", leader->delivery.original_recipient());
    if (!delivery.delivery.rule().empty()) line.add("rule", delivery.delivery.rule());
}

}  // namespace postrider::queue_manager
