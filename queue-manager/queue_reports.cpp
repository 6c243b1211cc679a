// Telling senders, or the postmaster, what became of their mail.

#include <algorithm>
#include <utility>

#include "libcommon/base/file.h"
#include "libcommon/log/log.h"
#include "queue-manager/queue.h"

namespace postrider::queue_manager {

namespace {

// Read of the original besides the body that may be returned; a longer header is cut.
constexpr std::size_t kMaxHeaderRead = std::size_t{64} << 10;

/// What a pool thread does for a report: reads the original, composes, commits. Owns all it uses but the
/// spool, which outlives the pool.
Result<Spool::Committed> commit_report(Spool& spool, Folder folder, std::uint64_t content_offset,
                                       ReportInput input, wire::Envelope& envelope) {
    auto original = spool.open_readable(input.original_id, folder);
    if (!original) return failure(std::move(original.error()));
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

void Queue::report_due(Message& message) {
    if (message.reporting || now() < message.report_due) return;
    bool still_working = message.busy();
    UnixMillis window = message.first_failure + static_cast<UnixMillis>(settings_.dsn_aggregate.count());
    // Failures of one round go into one report, but they do not wait for ever for a slow destination.
    if (message.count(Phase::FailedUnsaid) > 0 && (!still_working || now() >= window)) {
        auto numbers = message.unsaid(false);
        // The owners of lists are told of theirs by reports of their own, one after the other.
        const std::string& blamed = message.blamed(message.find(numbers.front())->delivery);
        std::erase_if(numbers, [&](std::uint32_t number) {
            return message.blamed(message.find(number)->delivery) != blamed;
        });
        if (!message.unanswerable()) return begin_report(message, ReportKind::Failed, std::move(numbers));
        bool may_tell_postmaster = !message.envelope.double_bounce() && !settings_.double_bounce_to.empty();
        if (may_tell_postmaster) return begin_report(message, ReportKind::DoubleBounce, std::move(numbers));
        return nobody_to_tell(message, numbers);
    }
    // What an address stands for is known when all are resolved, however long the deliveries take then.
    if (message.has_unsaid_expansion() && !message.resolving) return report_success(message, true);
    if (still_working) return;
    if (message.has_unsaid_success()) return report_success(message, false);
    auto delay = delay_report_due(message);
    if (!delay || now() < *delay) return;
    std::vector<std::uint32_t> delayed;
    for (const auto& delivery : message.deliveries) {
        bool told = delivery.phase == Phase::Waiting && delivery.attempts > 0 &&
                    wants_delay_report(delivery.delivery.notify()) && !delivery.delivery.has_sender();
        if (told) delayed.push_back(delivery.delivery.number());
    }
    if (!delayed.empty()) begin_report(message, ReportKind::Delayed, std::move(delayed));
}

void Queue::report_success(Message& message, bool expansions_only) {
    std::vector<std::uint32_t> numbers;
    std::optional<ReportKind> kind;
    // One report tells of one kind; another one follows.
    for (std::uint32_t number : message.unsaid(true)) {
        const ActiveDelivery& delivery = *message.find(number);
        if (expansions_only && !is_expansion(delivery.delivery)) continue;
        if (!kind) kind = success_kind(delivery);
        if (success_kind(delivery) == *kind) numbers.push_back(number);
    }
    begin_report(message, *kind, std::move(numbers));
}

ReportInput Queue::report_input(const Message& message, ReportKind kind,
                                const std::vector<std::uint32_t>& numbers) const {
    ReportInput input;
    input.kind = kind;
    input.hostname = settings_.hostname;
    input.original_id = message.id();
    input.original = message.envelope;
    input.original.clear_recipients();
    const wire::Delivery& first = message.find(numbers.front())->delivery;
    input.to = kind == ReportKind::DoubleBounce ? settings_.double_bounce_to : message.blamed(first);
    if (first.has_sender()) {
        // What the sender of the message asked for means nothing to the owner of the list.
        input.original.clear_envid();
        input.original.clear_ret();
    }
    input.now = now();
    input.content_length = message.header.content_length;
    input.max_body = settings_.dsn_max_body;
    input.return_full = settings_.dsn_return_full;
    for (std::uint32_t number : numbers) {
        const ActiveDelivery* delivery = message.find(number);
        ReportedRecipient recipient;
        recipient.final_recipient = delivery->delivery.recipient();
        recipient.original_recipient = delivery->delivery.original_recipient();
        recipient.orcpt = delivery->delivery.orcpt();
        recipient.status = delivery->last_result.status();
        recipient.diagnostic = delivery->last_result.text();
        recipient.remote_host = delivery->last_result.remote_host();
        recipient.last_attempt_ms = now();
        auto schedule = schedule_of(settings_, message, delivery->delivery);
        UnixMillis end = schedule.expires(message.envelope.arrival_ms());
        if (end != RetrySchedule::kNoEnd) input.will_retry_until = std::max(input.will_retry_until, end);
        input.recipients.push_back(std::move(recipient));
    }
    return input;
}

void Queue::begin_report(Message& message, ReportKind kind, std::vector<std::uint32_t> numbers) {
    ReportInput input = report_input(message, kind, numbers);
    input.report_id = next_id();
    message.reporting = true;
    tasks_.spawn(write_report(message.id(), std::move(input), std::move(numbers)));
}

async::Task<void> Queue::write_report(QueueId id, ReportInput input, std::vector<std::uint32_t> numbers) {
    Message* message = find(id);
    ReportKind kind = input.kind;
    QueueId report_id = input.report_id;
    auto envelope = std::make_shared<wire::Envelope>();
    std::function<Result<Spool::Committed>()> work = [spool = &spool_, folder = message->folder,
                                                      offset = message->header.content_offset(),
                                                      input = std::move(input), envelope] {
        return commit_report(*spool, folder, offset, input, *envelope);
    };
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
        reported(*message, kind, numbers, report_id);
        ++counters_.reports;
        accept((*result)->header, std::move(*envelope), std::move((*result)->file));
    }
    advance(*message);
    if (on_ready_) on_ready_();
}

void Queue::reported(Message& message, ReportKind kind, const std::vector<std::uint32_t>& numbers,
                     QueueId report_id) {
    log::info("reported").add("id", message.id().text()).add("report", report_id.text());
    std::vector<wire::JournalRecord> records(1);
    auto& report = *records.front().mutable_report();
    report.set_report_id(report_id.text());
    report.set_time_ms(now());
    report.set_delay(kind == ReportKind::Delayed);
    if (kind == ReportKind::Delayed) message.delay_reported = true;
    wire::JournalRecord failed;
    failed.mutable_attempt()->set_time_ms(now());
    for (std::uint32_t number : numbers) {
        report.add_deliveries(number);
        ActiveDelivery& delivery = *message.find(number);
        message.set_success_unsaid(delivery, false);
        if (delivery.phase != Phase::FailedUnsaid) continue;
        message.set_phase(delivery, Phase::Failed);
        *failed.mutable_attempt()->add_results() = delivery.last_result;
    }
    if (failed.attempt().results_size() > 0) records.insert(records.begin(), std::move(failed));
    if (message.count(Phase::FailedUnsaid) == 0) message.first_failure = 0;
    journal_unless_finished(message, std::move(records));
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
