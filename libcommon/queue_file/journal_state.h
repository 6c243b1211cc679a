#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/clock.h"
#include "libcommon/ipc/journal.pb.h"

namespace postrider::queue_file {

/// How far one delivery of a message has come.
enum class DeliveryPhase {
    Waiting,
    Expanding,  ///< a forward file replaces it, by what last_result says; that is not resolved yet
    Delivered,  ///< or replaced by other deliveries
    Failed
};

/// One delivery as the journal tells it.
struct DeliveryState {
    wire::Delivery delivery;
    std::uint32_t recipient = 0;  ///< of the envelope, by index, that it is for
    DeliveryPhase phase = DeliveryPhase::Waiting;
    std::uint32_t attempts = 0;        ///< that reached a result
    UnixMillis next_attempt_ms = 0;    ///< 0: at once
    UnixMillis mx_error_since_ms = 0;  ///< since when attempts end with 4.4.6; 0: the last one did not
    UnixMillis last_attempt_ms = 0;    ///< when the last attempt ended; 0: there was none
    bool reported = false;             ///< the sender, or who is told instead, knows of the failure
    bool delay_reported = false;       ///< the sender knows of the delay
    wire::DeliveryResult last_result;  ///< empty before the first attempt
};

/// The status of an attempt that was deferred because the best MX of the domain is this host.
inline constexpr std::string_view kMxErrorStatus = "4.4.6";

/// What the records of a journal add up to. Applying them in their order gives the state in which the message
/// was left, so that a restart continues instead of beginning anew.
class JournalState {
  public:
    /// `recipients` is their number in the envelope.
    explicit JournalState(std::size_t recipients = 0) : resolved_(recipients, false) {}

    /// Takes one more record into account. A record that makes no sense (an unknown recipient or delivery) is
    /// ignored: the file is read by tools that cannot check who wrote it.
    void apply(const wire::JournalRecord& record);

    /// Whether all deliveries of this recipient are known. Others are resolved afresh.
    [[nodiscard]] bool resolved(std::size_t recipient) const { return resolved_[recipient]; }
    [[nodiscard]] std::size_t recipients() const { return resolved_.size(); }

    /// The deliveries of resolved recipients by number.
    [[nodiscard]] const std::map<std::uint32_t, DeliveryState>& deliveries() const { return deliveries_; }

    /// Larger than every number that was ever given, also to deliveries whose resolution was not completed.
    [[nodiscard]] std::uint32_t next_number() const { return next_number_; }

    /// Recipients, by their index, of which the sender knows that they are delayed; they may be resolved by
    /// now.
    [[nodiscard]] const std::set<std::uint32_t>& delayed_recipients() const { return delayed_recipients_; }

    /// The order that put the message into hold/; nullptr if it does not belong there, or is in quarantine.
    [[nodiscard]] const wire::OrderRecord* held() const { return held_ ? &*held_ : nullptr; }
    /// The order that what is open shall fail; nullptr if there is none.
    [[nodiscard]] const wire::OrderRecord* failing() const { return failing_ ? &*failing_ : nullptr; }
    /// When its lifetime began anew; 0: it did not.
    [[nodiscard]] UnixMillis requeued_ms() const { return requeued_ms_; }
    /// Whether recipients were resolved again, of which others may have what they are to get.
    [[nodiscard]] bool rerouted() const { return rerouted_; }

    /// Number of attempt records.
    [[nodiscard]] std::uint32_t attempts() const { return attempts_; }

    /// Whether every recipient is resolved, and every delivery has ended.
    [[nodiscard]] bool finished() const;

  private:
    void apply_resolved(const wire::ResolvedRecord& record);
    void apply_expanded(const wire::ResolvedRecord& record);
    void take_deliveries(const wire::ResolvedRecord& record, std::uint32_t recipient,
                         std::vector<wire::Delivery>& waiting);
    void apply_attempt(const wire::AttemptRecord& record);
    void apply_report(const wire::ReportRecord& record);
    void apply_order(const wire::OrderRecord& record);
    void resolve_again(bool (*which)(const DeliveryState& state));

    std::vector<bool> resolved_;
    std::map<std::uint32_t, DeliveryState> deliveries_;
    // Deliveries of recipients whose last resolved record has not been seen: not acted on, so not believed.
    std::map<std::uint32_t, std::vector<wire::Delivery>> incomplete_;
    std::map<std::uint32_t, std::vector<wire::Delivery>> incomplete_expansions_;  // by the expanded delivery
    std::uint32_t next_number_ = 1;
    std::uint32_t attempts_ = 0;
    std::set<std::uint32_t> delayed_recipients_;
    bool rerouted_ = false;
    UnixMillis requeued_ms_ = 0;
    std::optional<wire::OrderRecord> held_;
    std::optional<wire::OrderRecord> failing_;
};

}  // namespace postrider::queue_file
