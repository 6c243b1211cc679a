#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libcommon/base/clock.h"
#include "libcommon/base/result.h"
#include "libcommon/ipc/journal.pb.h"
#include "libcommon/ipc/queue.pb.h"
#include "queue-manager/agenda.h"
#include "queue-manager/message.h"
#include "queue-manager/retry.h"
#include "queue-manager/settings.h"

/// What follows from what an agent or the router said. Pure: values in, values out.
namespace postrider::queue_manager {

/// The schedule of a delivery: its route's, or the general one.
[[nodiscard]] RetrySchedule schedule_of(const Settings& settings, const Message& message,
                                        const wire::Delivery& delivery);
/// When a delivery is given up; kNever if it is not. Cheaper than schedule_of().
[[nodiscard]] UnixMillis end_of(const Settings& settings, const Message& message,
                                const wire::Delivery& delivery);
/// All that decides when a delivery is tried.
[[nodiscard]] DeliveryTimes times_of(const Settings& settings, const Message& message,
                                     const ActiveDelivery& delivery);
/// The schedule of recipients that could not be resolved yet.
[[nodiscard]] RetrySchedule default_schedule(const Settings& settings, const Message& message);

/// What a result means for its delivery.
struct Judgement {
    Phase phase = Phase::Waiting;
    UnixMillis due = 0;           ///< of Waiting
    bool held = false;            ///< of Waiting: only a flush makes it due before its end
    bool report_success = false;  ///< of Delivered: the sender asked to be told
    wire::DeliveryResult result;  ///< as it is journalled and logged: a deferral may have become a failure
};

/// Decides what becomes of `delivery` after `result` at `now`. The result is one of a peer and may say
/// anything.
[[nodiscard]] Judgement judge(const Settings& settings, const Message& message,
                              const ActiveDelivery& delivery, wire::DeliveryResult result, UnixMillis now,
                              const JitterSource& jitter);

/// Whether somebody has to be told that `delivery` failed, by a report or, where the sender cannot be
/// answered, by a message to the postmaster.
[[nodiscard]] bool failure_is_told(const Message& message, const ActiveDelivery& delivery);

/// The result of a delivery that needs no agent: it fails (TRANSPORT_ERROR, with its error_text), is
/// discarded, or stands for what its recipient became. Nothing for all others.
[[nodiscard]] std::optional<wire::DeliveryResult> result_without_agent(const wire::Delivery& delivery);

/// The records that journal `judgements`: what ended in one, deferrals by the time of their next attempt,
/// which for what is held is kNever.
/// Failures that have still to be reported are left out: they are journalled with their report.
[[nodiscard]] std::vector<wire::JournalRecord> attempt_records(const std::vector<Judgement>& judgements,
                                                               UnixMillis now);

/// What the router said about one recipient: deliveries, or an error.
struct Resolution {
    std::vector<wire::Delivery> deliveries;
    Error error;  ///< if there are no deliveries
};

/// What to do with resolutions: written first, then applied.
struct ResolutionPlan {
    std::vector<std::uint32_t> recipients;   ///< resolved now, by index in the envelope, ascending
    std::uint32_t expanded = 0;              ///< the delivery that a forward file replaces; 0: none
    std::vector<wire::Delivery> deliveries;  ///< with their numbers
    std::vector<wire::JournalRecord> records;
    std::string error;  ///< of recipients that could not be decided; empty if there are none
};

/// Plans what follows from the router's answers about the recipients at `indices` of the envelope, in that
/// order. A recipient that cannot be resolved and whose time is over gets a delivery that fails.
[[nodiscard]] ResolutionPlan plan_resolution(const Settings& settings, const Message& message,
                                             const std::vector<std::uint32_t>& indices,
                                             std::vector<Resolution> resolutions, UnixMillis now);

/// Plans what follows from the router's answer about the forward file that replaces `replaced`, a delivery in
/// Phase::Expanding. Deliveries that the message has already, and that did not fail, are not made again.
[[nodiscard]] ResolutionPlan plan_expansion(const Settings& settings, const Message& message,
                                            const ActiveDelivery& replaced, Resolution resolution,
                                            UnixMillis now);

/// Adds what was planned to the message.
void apply_resolution(Message& message, ResolutionPlan plan);

}  // namespace postrider::queue_manager
