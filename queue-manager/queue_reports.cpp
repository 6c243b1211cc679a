// Telling senders, or the postmaster, what became of their mail.

#include <algorithm>
#include <utility>

#include "libcommon/base/file.h"
#include "libcommon/log/log.h"
#include "queue-manager/queue.h"
#include "queue-manager/report_text.h"

namespace postrider::queue_manager {

namespace {

// Read of the original besides the body that may be returned; a longer header is cut.
constexpr std::size_t kMaxHeaderRead = std::size_t{64} << 10;

// Of what was never tried, because others found its destination down or the router could not decide.
constexpr const char* kUnreachableStatus = "4.4.1";
constexpr const char* kUnreachable = "the destination cannot be reached";
constexpr const char* kUnresolvedStatus = "4.4.3";
constexpr const char* kDelivered = "delivered";
constexpr const char* kUnresolved = "the way to this address is not known yet";

/// What a pool thread does for a report: reads the original, composes, commits. Owns all it uses but the
/// spool, which outlives the pool.
Result<Spool::Committed> commit_report(Spool& spool, const Result<Fd>& original, std::uint64_t content_offset,
                                       ReportInput input, wire::Envelope& envelope) {
    if (!original) return failure(original.error());
    std::size_t wanted = std::min<std::uint64_t>(input.content_length, kMaxHeaderRead + input.max_body);
    auto content = read_at(*original, wanted, content_offset);
    if (!content) return failure(std::move(content.error()));
    input.content = std::move(*content);
    Report report = compose_report(input);
    envelope = std::move(report.envelope);
    return spool.commit_message(input.report_id, envelope, report.content);
}

/// The kind of report that tells of a success.
ReportKind success_kind(const ActiveDelivery& delivery) {
    if (delivery.delivery.transport() == wire::TRANSPORT_ALIAS) return ReportKind::Expanded;
    const bool relayed = delivery.last_result.outcome() == wire::DeliveryResult::RELAYED;
    return relayed ? ReportKind::Relayed : ReportKind::Delivered;
}

}  // namespace

UnixMillis Queue::gathered_until(const Message& message) const {
    return message.first_failure + static_cast<UnixMillis>(settings_.dsn_aggregate.count());
}

void Queue::report_due(Message& message) {
    if (message.reporting || now() < message.report_due) return;
    const bool still_working = message.busy();
    if (message.count(Phase::FailedUnsaid) > 0) {
        // Failures of one message go into one report, as long as more can come of it soon; but they do not
        // wait for ever for a slow destination.
        const UnixMillis until = gathered_until(message);
        const bool more_may_come = still_working || message.next_due() < until;
        if (!more_may_come || now() >= until) return report_failures(message);
    }
    // What an address stands for is known when all are resolved, however long the deliveries take then.
    if (message.has_unsaid_expansion() && !message.resolving) return report_success(message, true);
    if (still_working) return;
    if (message.has_unsaid_success()) return report_success(message, false);
    const auto delay = delay_report_due(message);
    if (delay && now() >= *delay) report_delays(message);
}

void Queue::report_failures(Message& message) {
    Told told{ReportKind::Failed, message.unsaid(false), {}};
    // The owners of lists are told of theirs by reports of their own, one after the other.
    const std::string& blamed = message.blamed(message.find(told.deliveries.front())->delivery);
    std::erase_if(told.deliveries, [&](std::uint32_t number) {
        return message.blamed(message.find(number)->delivery) != blamed;
    });
    if (!message.unanswerable()) return begin_report(message, std::move(told));
    told.kind = ReportKind::DoubleBounce;
    if (message.envelope.double_bounce()) return nobody_to_tell(message, told.deliveries);
    if (settings_.discard_double_bounces) return withhold(message, told, "", "double_bounce_to discard");
    if (settings_.double_bounce_to.empty()) return nobody_to_tell(message, told.deliveries);
    begin_report(message, std::move(told));
}

void Queue::report_delays(Message& message) {
    begin_report(message, {ReportKind::Delayed, message.untold_delays(), message.untold_unresolved()});
}

void Queue::report_success(Message& message, bool expansions_only) {
    Told told;
    std::optional<ReportKind> kind;
    // One report tells of one kind; another one follows.
    for (std::uint32_t number : message.unsaid(true)) {
        const ActiveDelivery& delivery = *message.find(number);
        if (expansions_only && !is_expansion(delivery.delivery)) continue;
        if (!kind) kind = success_kind(delivery);
        if (success_kind(delivery) == *kind) told.deliveries.push_back(number);
    }
    told.kind = *kind;
    begin_report(message, std::move(told));
}

const std::string& Queue::recipient_of_report(const Message& message, const Told& told) const {
    if (told.kind == ReportKind::DoubleBounce) return settings_.double_bounce_to;
    if (told.deliveries.empty()) return message.envelope.sender();
    return message.blamed(message.find(told.deliveries.front())->delivery);
}

ReportedRecipient Queue::reported_delivery(const Message& message, const ActiveDelivery& delivery) const {
    ReportedRecipient recipient;
    recipient.final_recipient = delivery.delivery.recipient();
    recipient.original_recipient = delivery.delivery.original_recipient();
    recipient.orcpt = delivery.delivery.orcpt();
    recipient.status = delivery.last_result.status();
    recipient.diagnostic = delivery.last_result.text();
    recipient.remote_host = delivery.last_result.remote_host();
    // Where a mailbox is on this host is nobody's business.
    const bool in_mailbox =
        delivery.last_result.outcome() == wire::DeliveryResult::DELIVERED && !is_expansion(delivery.delivery);
    if (in_mailbox) recipient.diagnostic = kDelivered;
    recipient.last_attempt_ms = delivery.last_attempt;
    if (delivery.last_attempt == 0) {
        recipient.status = kUnreachableStatus;
        recipient.diagnostic = kUnreachable;
    }
    const UnixMillis end = end_of(settings_, message, delivery.delivery);
    if (end != RetrySchedule::kNoEnd) recipient.will_retry_until = end;
    return recipient;
}

ReportInput Queue::report_input(const Message& message, const Told& told) const {
    ReportInput input;
    input.kind = told.kind;
    input.hostname = settings_.hostname;
    input.postmaster = settings_.postmaster;
    input.templates = &settings_.report_templates;
    input.original_id = message.id();
    input.original = message.envelope;
    input.original.clear_recipients();
    input.to = recipient_of_report(message, told);
    input.now = now();
    input.content_length = message.header.content_length;
    input.max_body = settings_.dsn_max_body;
    input.return_full = settings_.dsn_return_full;
    for (std::uint32_t number : told.deliveries)
        input.recipients.push_back(reported_delivery(message, *message.find(number)));
    for (std::uint32_t index : told.recipients) {
        const wire::Recipient& unresolved = message.envelope.recipients(static_cast<int>(index));
        ReportedRecipient recipient;
        recipient.final_recipient = unresolved.address();
        recipient.orcpt = unresolved.orcpt();
        recipient.status = kUnresolvedStatus;
        recipient.diagnostic = message.resolve_error.empty() ? kUnresolved : message.resolve_error;
        recipient.will_retry_until =
            default_schedule(settings_, message).expires(message.envelope.arrival_ms());
        input.recipients.push_back(std::move(recipient));
    }
    if (!told.deliveries.empty() && message.find(told.deliveries.front())->delivery.has_sender()) {
        // What the sender of the message asked for means nothing to the owner of the list.
        input.original.clear_envid();
        input.original.clear_ret();
    }
    return input;
}

void Queue::begin_report(Message& message, Told told) {
    const std::string& to = recipient_of_report(message, told);
    // The owner of a list is one of ours, whoever wrote to the list.
    const bool to_stranger = message.envelope.stranger() && told.kind != ReportKind::DoubleBounce &&
                             to == message.envelope.sender();
    if (settings_.dsn_only_to_local && to_stranger) return withhold(message, told, to, "dsn_only_to local");
    ReportInput input = report_input(message, told);
    input.report_id = next_id();
    message.reporting = true;
    tasks_.spawn(write_report(message.id(), std::move(input), std::move(told)));
}

async::Task<void> Queue::write_report(QueueId id, ReportInput input, Told told) {
    Message* message = find(id);
    QueueId report_id = input.report_id;
    auto envelope = std::make_shared<wire::Envelope>();
    auto original = std::make_shared<const Result<Fd>>(open_readable(*message));
    std::function<Result<Spool::Committed>()> work =
        [spool = &spool_, original, offset = message->header.content_offset(), input = std::move(input),
         envelope] { return commit_report(*spool, *original, offset, input, *envelope); };
    auto result = co_await sync_pool_.run(std::move(work));
    // A message that is being reported about stays active, so it is still there.
    message = find(id);
    message->reporting = false;
    if (!result || !*result) {
        std::string reason = result ? result->error().text : "too many messages are being committed";
        log::error("cannot_write_report").add("id", id.text()).add("reason", reason);
        message->report_due = now() + kRetryFault;
    } else {
        // The report is durable; only now may the journal say that its failures are dealt with. The other
        // order would lose it in a crash in between.
        reported(*message, told, report_id);
        ++counters_.reports;
        accept((*result)->header, std::move(*envelope), std::move((*result)->file));
    }
    advance(*message);
    if (on_ready_) on_ready_();
}

void Queue::reported(Message& message, const Told& told, std::optional<QueueId> report_id) {
    std::vector<wire::JournalRecord> records(1);
    auto& report = *records.front().mutable_report();
    if (report_id) {
        log::info("reported").add("id", message.id().text()).add("report", report_id->text());
        report.set_report_id(report_id->text());
    }
    report.set_time_ms(now());
    const bool delay = told.kind == ReportKind::Delayed;
    report.set_delay(delay);
    wire::JournalRecord failed;
    failed.mutable_attempt()->set_time_ms(now());
    for (std::uint32_t number : told.deliveries) {
        report.add_deliveries(number);
        ActiveDelivery& delivery = *message.find(number);
        if (delay) delivery.delay_told = true;
        message.set_success_unsaid(delivery, false);
        if (delivery.phase != Phase::FailedUnsaid) continue;
        message.set_phase(delivery, Phase::Failed);
        *failed.mutable_attempt()->add_results() = delivery.last_result;
    }
    for (std::uint32_t index : told.recipients) {
        report.add_recipients(index);
        message.delayed_recipients.insert(index);
    }
    if (failed.attempt().results_size() > 0) records.insert(records.begin(), std::move(failed));
    if (message.count(Phase::FailedUnsaid) == 0) message.first_failure = 0;
    journal_unless_finished(message, std::move(records));
}

void Queue::withhold(Message& message, const Told& told, const std::string& to, const char* reason) {
    ++counters_.reports_withheld;
    log::warning("report_withheld")
        .add("id", message.id().text())
        .add("kind", name_of(told.kind))
        .add_address("to", to)
        .add("recipients", told.deliveries.size() + told.recipients.size())
        .add("reason", reason);
    reported(message, told, std::nullopt);
}

void Queue::nobody_to_tell(Message& message, const std::vector<std::uint32_t>& numbers) {
    wire::JournalRecord failed;
    failed.mutable_attempt()->set_time_ms(now());
    for (std::uint32_t number : numbers) {
        ActiveDelivery& delivery = *message.find(number);
        message.set_phase(delivery, Phase::Failed);
        *failed.mutable_attempt()->add_results() = delivery.last_result;
    }
    message.keep_as_failed = true;
    message.first_failure = 0;
    std::vector<wire::JournalRecord> records;
    records.push_back(std::move(failed));
    journal(message, std::move(records));
}

}  // namespace postrider::queue_manager
