// Resolving recipients and making their deliveries ready.

#include <algorithm>
#include <map>
#include <utility>

#include "libcommon/log/log.h"
#include "queue-manager/queue.h"

namespace postrider::queue_manager {

namespace {

constexpr UnixMillis kRouterPause = 5'000;  // before a router that failed to answer is asked again

/// What a delivery adds to its job's frame: itself and the field around it.
std::uint32_t frame_bytes(const wire::Delivery& delivery) {
    constexpr std::size_t kFraming = 6;
    return static_cast<std::uint32_t>(delivery.ByteSizeLong() + kFraming);
}

/// Who takes turns with others: the account that logged in, whatever sender it names, or else the sender.
std::string turn_of(const wire::Envelope& envelope) {
    return envelope.login().empty() ? "from " + envelope.sender() : "login " + envelope.login();
}

RouteLimits limits_of(const wire::Delivery& delivery) {
    const wire::RouteLimits& limits = delivery.limits();
    return {limits.connections(), limits.recipients(), limits.messages(), limits.rate(),
            Seconds(limits.rate_seconds())};
}

void set_limits(const RouteLimits& limits, wire::DeliverJob& frame) {
    if (limits == RouteLimits()) return;
    frame.mutable_limits()->set_connections(limits.connections);
    frame.mutable_limits()->set_recipients(limits.recipients);
    frame.mutable_limits()->set_messages(limits.messages);
}

}  // namespace

void Queue::want_resolving(Message& message) {
    message.resolving = true;
    to_resolve_.push_back(message.id());
}

void Queue::resolve_more() {
    // A task that fails at once calls this again from inside; the outermost call goes on with the list.
    if (in_resolve_more_) return;
    in_resolve_more_ = true;
    // Without a router messages simply wait in this list; it is called again when there is one.
    while (!stopped_ && resolver_.connected() && resolving_ < settings_.resolve_concurrency &&
           !to_resolve_.empty()) {
        QueueId id = to_resolve_.front();
        to_resolve_.pop_front();
        ++resolving_;
        find(id)->asked = true;
        tasks_.spawn(resolve(id));
    }
    in_resolve_more_ = false;
}

async::Task<void> Queue::resolve(QueueId id) {
    bool asked = co_await resolve_recipients(id);
    if (asked) asked = co_await resolve_expansions(id);
    Message* message = find(id);
    message->resolving = false;
    message->asked = false;
    message->scan_due = 0;
    --resolving_;
    advance(*message);
    if (on_ready_) on_ready_();
}

/// False if the router cannot be asked, or its answer cannot be written down.
async::Task<bool> Queue::resolve_recipients(QueueId id) {
    Message* message = find(id);
    std::vector<std::uint32_t> indices = message->unresolved;
    std::size_t first = 0;
    while (first < indices.size()) {
        std::size_t count = question_size(message->envelope, indices, first);
        std::vector<std::uint32_t> part(indices.begin() + static_cast<std::ptrdiff_t>(first),
                                        indices.begin() + static_cast<std::ptrdiff_t>(first + count));
        std::vector<wire::Recipient> recipients;
        for (std::uint32_t index : part) {
            recipients.push_back(message->envelope.recipients(static_cast<int>(index)));
        }
        std::string sender = message->envelope.sender();
        auto answer = co_await resolver_.resolve(std::move(sender), std::move(recipients));
        // A message that is being resolved stays active, so it is still there.
        message = find(id);
        if (!answer) {
            router_failed(*message, answer.error());
            co_return false;
        }
        if (!take_resolution(*message, part, std::move(*answer))) co_return false;
        first += count;
        offer_due(*message);
    }
    co_return true;
}

/// The same for what stands in forward files; also in those that are read meanwhile.
async::Task<bool> Queue::resolve_expansions(QueueId id) {
    std::uint32_t last = 0;
    while (true) {
        Message* message = find(id);
        auto& deliveries = message->deliveries;
        auto next = std::find_if(deliveries.begin(), deliveries.end(), [last](const auto& delivery) {
            return delivery.phase == Phase::Expanding && delivery.delivery.number() > last;
        });
        if (next == deliveries.end()) co_return true;
        last = next->delivery.number();
        wire::ForwardQuestion question;
        question.set_sender(message->envelope.sender());
        *question.mutable_delivery() = next->delivery;
        *question.mutable_forwarded() = next->last_result.forwarded();
        question.set_forward_file(next->last_result.text());
        auto answer = co_await resolver_.expand(std::move(question));
        message = find(id);
        if (!answer) {
            router_failed(*message, answer.error());
            co_return false;
        }
        auto plan = plan_expansion(settings_, *message, *message->find(last), std::move(*answer), now());
        if (!take_plan(*message, std::move(plan))) co_return false;
        offer_due(*message);
    }
}

void Queue::router_failed(Message& message, const Error& error) {
    log::warning("cannot_resolve").add("id", message.id().text()).add("reason", error.text);
    message.resolve_due = now() + kRouterPause;
}

bool Queue::take_resolution(Message& message, const std::vector<std::uint32_t>& indices,
                            std::vector<Resolution> resolutions) {
    return take_plan(message, plan_resolution(settings_, message, indices, std::move(resolutions), now()));
}

bool Queue::take_plan(Message& message, ResolutionPlan plan) {
    if (!plan.records.empty()) {
        for (auto& record : plan.records)
            record.mutable_resolved()->set_time_ms(now());
        // Before anything is acted on: a crash must not resolve these recipients again after some of their
        // deliveries were made. And behind what could not be written before: a forward file that was read
        // stands in the journal before what it became.
        journal(message, {});
        auto written = message.unwritten.empty()
                           ? write_records(message, plan.records)
                           : Result<void>(temporary("earlier records wait for the disk"));
        if (!written) {
            log::error("cannot_write_journal")
                .add("id", message.id().text())
                .add("reason", written.error().text);
            message.resolve_due = now() + kRetryFault;
            return false;
        }
    }
    bool undecided = !plan.error.empty();
    std::size_t before = message.deliveries.size();
    apply_resolution(message, std::move(plan));
    hold_back(message, before);
    for (std::size_t i = before; i < message.deliveries.size(); ++i) {
        ActiveDelivery& delivery = message.deliveries[i];
        const bool may = delivery.schedule.kind != DeliverySchedule::Kind::Never;
        if (may && message.flush_resolved.covers(delivery.delivery)) delivery.due = 0;
    }
    if (!undecided) message.flush_resolved = FlushScope();
    message.scan_due = 0;
    if (undecided) {
        ++message.resolve_attempts;
        auto schedule = default_schedule(settings_, message);
        auto next =
            schedule.next_attempt(now(), message.envelope.arrival_ms(), message.resolve_attempts, jitter_);
        message.resolve_due = next.value_or(now());
        log::info("deferred")
            .add("id", message.id().text())
            .add("recipients", message.unresolved.size())
            .add("status", "4.4.3")
            .add("reply", message.resolve_error);
    }
    return true;
}

void Queue::offer_due(Message& message) {
    UnixMillis time = now();
    if (ordered(message.id())) return;
    if (time < message.scan_due) return;
    if (message.undecided() && !message.resolving && message.resolve_due <= time) want_resolving(message);

    std::map<DestinationKey, std::vector<ActiveDelivery*>> by_destination;
    std::vector<wire::DeliveryResult> ended;
    UnixMillis last_chance = kNever;  // of what is ready
    const auto hard_end = [&](const ActiveDelivery& delivery) {
        return agenda_.hard_end(end_of(settings_, message, delivery.delivery));
    };
    for (auto& delivery : message.deliveries) {
        if (delivery.phase == Phase::Ready) {
            const UnixMillis end = hard_end(delivery);
            last_chance = std::min(last_chance, end);
            if (time >= end) ended.push_back(never_tried(delivery.delivery));
            continue;
        }
        if (delivery.phase != Phase::Waiting) continue;
        if (const ActiveDelivery* leader = message.leader_of(delivery)) {
            if (!message.follows(delivery)) ended.push_back(shared_result(delivery.delivery, *leader));
            continue;
        }
        if (delivery.due > time) continue;
        if (auto result = result_without_agent(delivery.delivery)) {
            ended.push_back(std::move(*result));
        } else if (delivery.held && delivery.due != 0) {
            ended.push_back(held_too_long(delivery.delivery));
        } else if (suspensions_.cover(delivery.delivery)) {
            if (auto expired = suspend(message, delivery)) ended.push_back(std::move(*expired));
        } else {
            by_destination[delivery.destination()].push_back(&delivery);
        }
    }
    for (auto& [key, deliveries] : by_destination)
        offer(message, key, deliveries);
    if (!ended.empty()) take_results(message, std::move(ended));

    message.scan_due = message.next_due();
    for (const auto& [key, deliveries] : by_destination) {
        for (const ActiveDelivery* delivery : deliveries) {
            if (delivery->phase == Phase::Ready) last_chance = std::min(last_chance, hard_end(*delivery));
        }
    }
    message.scan_due = std::min(message.scan_due, last_chance);
    if (message.scan_due != kNever) message.scan_due = std::max(message.scan_due, time + 1);
}

void Queue::offer(Message& message, const DestinationKey& key,
                  const std::vector<ActiveDelivery*>& deliveries) {
    Offer offer;
    offer.message = message.id();
    offer.destination = key;
    offer.sender = turn_of(message.envelope);
    offer.report = message.envelope.report();
    offer.deferred_before = message.folder == Folder::Cur;
    for (ActiveDelivery* delivery : deliveries) {
        delivery->outside = false;
        offer.deliveries.push_back({delivery->delivery.number(), frame_bytes(delivery->delivery)});
    }
    offer.limits = limits_of(deliveries.back()->delivery);
    auto refused = agenda_.scheduler().add(std::move(offer), now());
    if (!refused) {
        for (ActiveDelivery* delivery : deliveries)
            message.set_phase(*delivery, Phase::Ready);
        return;
    }
    std::vector<wire::DeliveryResult> given_up;
    for (ActiveDelivery* delivery : deliveries) {
        auto postponement = agenda_.postpone(*refused, times_of(settings_, message, *delivery), key, now());
        if (postponement.given_up) {
            given_up.push_back(never_tried(delivery->delivery));
        } else {
            postpone(message, *delivery, postponement, refused->full());
        }
    }
    if (!given_up.empty()) take_results(message, std::move(given_up));
}

wire::DeliveryResult Queue::never_tried(const wire::Delivery& delivery) {
    wire::DeliveryResult result;
    result.set_number(delivery.number());
    result.set_status("4.4.1");
    result.set_text("the destination cannot be reached");
    return result;
}

void Queue::postpone(Message& message, ActiveDelivery& delivery, const Agenda::Postponement& postponement,
                     bool full) {
    message.set_phase(delivery, Phase::Waiting);
    delivery.due = postponement.due;
    delivery.outside = full;
    message.scan_due = std::min(message.scan_due, delivery.due);
    if (full) return;  // it has only to wait for its turn
    // Once in the life of a message. That the destination is down is logged for all.
    if (message.folder == Folder::Cur) return;
    log::info("deferred")
        .add("id", message.id().text())
        .add_address("to", delivery.delivery.recipient())
        .add("status", "4.4.1")
        .add("reply", "the destination is down; waiting for it")
        .add("next_hop", delivery.delivery.next_hop());
}

void Queue::offer_called(const Agenda::Ended& ended, const DestinationKey& destination) {
    for (QueueId id : ended.called) {
        Message* message = find(id);
        if (message == nullptr) continue;
        for (auto& delivery : message->deliveries) {
            if (!delivery.outside || delivery.phase != Phase::Waiting) continue;
            if (delivery.destination() == destination) delivery.due = 0;
        }
        message->scan_due = 0;
        advance(*message);
    }
}

std::optional<Queue::Dispatch> Queue::next_job(TransportSet transports, Trust least) {
    while (!stopped_) {
        auto job = agenda_.scheduler().next(transports, now(), least);
        if (!job) return std::nullopt;
        Message* message = find(job->message);
        if (message == nullptr) {
            job_ended(*job, JobOutcome::Unknown, Milliseconds(0));
            continue;
        }
        // What stands on a ready list may not be ready any more: a late report has come for it, or an order.
        std::erase_if(job->deliveries, [message](const ReadyDelivery& ready) {
            const ActiveDelivery* delivery = message->find(ready.number);
            return delivery == nullptr || delivery->phase != Phase::Ready;
        });
        if (job->deliveries.empty()) {
            job_ended(*job, JobOutcome::Unknown, Milliseconds(0));
            continue;
        }
        auto file = open_readable(*message);
        Dispatch dispatch;
        dispatch.job = std::move(*job);
        for (const auto& ready : dispatch.job.deliveries) {
            message->set_phase(*message->find(ready.number), Phase::InFlight);
        }
        if (!file) {
            log::error("cannot_open_message")
                .add("id", message->id().text())
                .add("reason", file.error().text);
            job_done(dispatch.job, {});
            continue;
        }
        dispatch.descriptor = std::move(*file);
        dispatch.frame.set_job(dispatch.job.number);
        dispatch.frame.set_queue_id(message->id().text());
        dispatch.frame.set_sender(message->envelope.sender());
        for (const auto& ready : dispatch.job.deliveries) {
            *dispatch.frame.add_deliveries() = message->find(ready.number)->delivery;
        }
        dispatch.frame.set_content_offset(message->header.content_offset());
        dispatch.frame.set_content_length(message->header.content_length);
        dispatch.frame.set_body(message->envelope.body());
        dispatch.frame.set_smtputf8(message->envelope.smtputf8());
        dispatch.frame.set_envid(message->envelope.envid());
        dispatch.frame.set_ret(message->envelope.ret());
        dispatch.frame.set_arrival_ms(message->envelope.arrival_ms());
        set_limits(dispatch.job.limits, dispatch.frame);
        ++counters_.jobs;
        return dispatch;
    }
    return std::nullopt;
}

}  // namespace postrider::queue_manager
