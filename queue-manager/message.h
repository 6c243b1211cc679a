#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "libcommon/base/clock.h"
#include "libcommon/base/fd.h"
#include "libcommon/ipc/envelope.pb.h"
#include "libcommon/ipc/journal.pb.h"
#include "libcommon/ipc/queue.pb.h"
#include "libcommon/queue_file/queue_file.h"
#include "queue-manager/delivery_schedule.h"
#include "queue-manager/flush_scope.h"
#include "queue-manager/scheduler.h"
#include "queue-manager/waiting_index.h"

namespace postrider::queue_manager {

/// Bits of RFC 3461 NOTIFY as envelope.proto defines them.
inline constexpr std::uint32_t kNotifyNever = 1;
inline constexpr std::uint32_t kNotifySuccess = 2;
inline constexpr std::uint32_t kNotifyFailure = 4;
inline constexpr std::uint32_t kNotifyDelay = 8;

/// Not the index of a recipient.
inline constexpr std::uint32_t kNoRecipient = ~std::uint32_t{0};

/// How far a delivery of a message in memory has come.
enum class Phase : std::uint8_t {
    Waiting,       ///< for its time
    Ready,         ///< on a ready list of the scheduler
    InFlight,      ///< in a job of an agent
    Expanding,     ///< a forward file replaces it; its last result says by what, the router has to say how
    FailedUnsaid,  ///< failed, and the sender has still to be told; not in the journal yet
    Delivered,
    Failed,
    Count  ///< not a phase: their number
};

/// One delivery of a message in memory.
struct ActiveDelivery {
    wire::Delivery delivery;
    Phase phase = Phase::Waiting;  ///< changed by Message::set_phase only
    bool success_unsaid = false;   ///< delivered, and the sender wants a report; changed by Message only
    bool delay_told = false;       ///< the sender knows that it is late
    std::uint32_t attempts = 0;
    UnixMillis last_attempt = 0;  ///< when the last one ended; 0: there was none
    UnixMillis due = 0;
    bool held = false;              ///< waits for a flush, which makes it due at 0; `due` is else its end
    DeliverySchedule schedule;      ///< of its route, as the router said last
    bool outside = false;           ///< its destination has enough in memory, and calls for it
    UnixMillis mx_error_since = 0;  ///< since when its domain's best MX is this host; 0: it is not
    std::uint32_t lost_jobs = 0;    ///< agents that died with this delivery in hand
    bool suspended = false;         ///< its domain or next hop is; `due` is its end then
    std::uint32_t of_recipient =
        kNoRecipient;  ///< its recipient in the envelope; of what was read from a file
    wire::DeliveryResult last_result;

    [[nodiscard]] bool ended() const { return phase == Phase::Delivered || phase == Phase::Failed; }
    [[nodiscard]] DestinationKey destination() const { return {delivery.transport(), delivery.next_hop()}; }
};

/// A message that is being worked on. Owned by the Queue; what it means is on disk, this is the copy in
/// memory. The functions change nothing outside the object.
struct Message {
    /// A message that was just committed: nothing is resolved.
    Message(queue_file::Header header_in, wire::Envelope envelope_in, Fd file_in);
    /// A message read from its file.
    Message(queue_file::QueueFile read, Folder folder_in, Fd file_in);

    queue_file::Header header;
    wire::Envelope envelope;
    Folder folder = Folder::New;
    Fd file;  ///< read and write; may be closed to save descriptors, the spool opens it again
    /// While it is in the intake journal: its file as it was committed, and the records that follow it.
    std::shared_ptr<const std::string> image;
    std::string image_records;
    bool settling = false;  ///< it is becoming a file
    bool read = false;      ///< from its file, after it waited there
    std::uint64_t journal_end = 0;
    /// Records that could not be written (disk full); they go before the next ones.
    std::vector<wire::JournalRecord> unwritten;

    std::vector<ActiveDelivery> deliveries;  ///< sorted by number
    std::vector<std::uint32_t> unresolved;   ///< indices of recipients that have no deliveries yet
    std::uint32_t next_number = 1;
    bool resolving = false;  ///< the router is being asked, or will be as soon as it can
    bool asked = false;      ///< it has the question
    std::uint32_t resolve_attempts = 0;
    UnixMillis resolve_due = 0;
    FlushScope flush_resolved;  ///< what of it was flushed before it was resolved
    std::string resolve_error;  ///< what the router said last, if it could not decide

    bool reporting = false;     ///< a report is being committed
    UnixMillis report_due = 0;  ///< not before this: a report could not be committed
    std::set<std::uint32_t>
        delayed_recipients;        ///< unresolved ones of which the sender knows that they are late
    bool keep_as_failed = false;   ///< goes to failed/ when all is done: nobody could be told of a failure
    UnixMillis timer = 0;          ///< the queue's timer for this message; 0: none
    UnixMillis scan_due = 0;       ///< no waiting delivery is due before this, so none need be looked at
    UnixMillis first_failure = 0;  ///< of those that nobody was told of; 0: none

    /// What administrators ordered, as far as it still counts.
    std::optional<wire::OrderRecord> fail_order;  ///< what is open shall fail
    std::optional<wire::OrderRecord> hold_order;  ///< it belongs into hold/
    bool rerouted = false;   ///< recipients are resolved again, some of whose deliveries have ended
    UnixMillis arrived = 0;  ///< envelope.arrival_ms() is later if it was requeued: its lifetime began anew

    [[nodiscard]] QueueId id() const { return header.id; }
    [[nodiscard]] ActiveDelivery* find(std::uint32_t number);
    [[nodiscard]] const ActiveDelivery* find(std::uint32_t number) const;
    /// Whether the sender must not be answered: the null sender, or a report of our own.
    [[nodiscard]] bool unanswerable() const { return envelope.sender().empty() || envelope.report(); }
    /// Whether recipients, or the destinations of forward files, have to be resolved.
    [[nodiscard]] bool undecided() const { return !unresolved.empty() || count(Phase::Expanding) > 0; }
    /// Nothing is left to try, to tell, or to write.
    [[nodiscard]] bool finished() const;
    /// Whether something of it is with the router, an agent, the scheduler or the report writer.
    [[nodiscard]] bool busy() const;
    /// How many deliveries are in a phase. Counted along, because a message may have 50,000 of them.
    [[nodiscard]] std::size_t count(Phase phase) const { return counts_[static_cast<std::size_t>(phase)]; }
    /// Whether all that is left of it waits for a flush.
    [[nodiscard]] bool is_held() const;
    /// Whether all that is left of it waits for its domains to be resumed; whether a delivery does.
    [[nodiscard]] bool is_suspended() const;
    [[nodiscard]] bool suspends_something() const;
    /// Whether nothing is under way, and nothing known but written down.
    [[nodiscard]] bool quiet() const;
    /// Whether a delivery of it waits for a flush or a time of its route.
    [[nodiscard]] bool holds_something() const;
    /// Whether a delivery of it is due as soon as its destination has room for it in memory.
    [[nodiscard]] bool has_called() const;
    /// Adds a delivery whose number is larger than those of all others.
    void add_delivery(ActiveDelivery delivery);
    void set_phase(ActiveDelivery& delivery, Phase phase);
    void set_success_unsaid(ActiveDelivery& delivery, bool unsaid);
    [[nodiscard]] bool has_unsaid_success() const { return unsaid_successes_ > 0; }
    /// The same of recipients that became others (is_expansion()), which are told of at once.
    [[nodiscard]] bool has_unsaid_expansion() const { return unsaid_expansions_ > 0; }
    /// The delivery that does what `delivery` does and whose result is that of both
    /// (wire::Delivery::same_as); nullptr if it has one of its own. A leader that a forward file replaced
    /// leads nobody any more.
    [[nodiscard]] const ActiveDelivery* leader_of(const ActiveDelivery& delivery) const;
    /// Whether it waits for the result of another one.
    [[nodiscard]] bool follows(const ActiveDelivery& delivery) const;
    /// The first delivery with the same effect whose result can be that of `delivery`, too; nullptr if there
    /// is none. What failed is no such.
    [[nodiscard]] const ActiveDelivery* find_same(const wire::Delivery& delivery) const;
    /// Whether its sender has to be told by us that `delivery` ended with `result`, one of success.
    [[nodiscard]] bool owes_success_report(const wire::Delivery& delivery,
                                           const wire::DeliveryResult& result) const;
    /// Who hears of failures of `delivery`: the owner of the list that it belongs to, or else the sender.
    [[nodiscard]] const std::string& blamed(const wire::Delivery& delivery) const {
        return delivery.has_sender() ? delivery.sender() : envelope.sender();
    }
    /// The earliest time at which a waiting delivery is due, or a recipient that nobody resolves now; kNever
    /// if nothing waits.
    [[nodiscard]] UnixMillis next_due() const;
    /// Deliveries that still wait, by number, of which the sender wants to be told that they are late, and
    /// was not. What waits for a flush is not late.
    [[nodiscard]] std::vector<std::uint32_t> untold_delays() const;
    /// The same of recipients that are not resolved, by their index.
    [[nodiscard]] std::vector<std::uint32_t> untold_unresolved() const;
    /// Whether some deliveries have the results of others.
    [[nodiscard]] bool has_followers() const { return followers_ > 0; }
    /// Failures (with `success` false) or successes that have still to be reported, by number.
    [[nodiscard]] std::vector<std::uint32_t> unsaid(bool success) const;

  private:
    std::array<std::size_t, static_cast<std::size_t>(Phase::Count)> counts_{};
    std::size_t unsaid_successes_ = 0;
    std::size_t unsaid_expansions_ = 0;
    std::size_t followers_ = 0;  // deliveries with same_as
    // Numbers of the first deliveries by a hash of their effect, made when the first one is looked for.
    mutable std::unordered_multimap<std::size_t, std::uint32_t> by_effect_;
    mutable std::size_t in_by_effect_ = 0;
};

/// What makes two deliveries of a message the same: the way, and what is at its end.
[[nodiscard]] std::string effect_of(const wire::Delivery& delivery);

/// Whether the result of one of two deliveries with the same effect can be that of both, so that everybody
/// hears what he wants to hear. A next host is told NOTIFY, ORCPT and one sender for a recipient, so for
/// other hosts these have to be equal.
[[nodiscard]] bool can_share_result(const wire::Delivery& one, const wire::Delivery& other);
/// What counts now for when a delivery may be tried became known: sets when it is due, unless it was tried
/// and the mark that it has still counts. `end`: when it is given up. `since`: when it became so.
void apply_schedule(ActiveDelivery& delivery, DeliverySchedule schedule, UnixMillis since, UnixMillis arrival,
                    UnixMillis end);

/// Whether a delivery stands for a recipient that became others or the members of a list, and delivers
/// nothing itself.
[[nodiscard]] bool is_expansion(const wire::Delivery& delivery);

/// Whether the sender is told of a failure: NOTIFY absent, or with FAILURE.
[[nodiscard]] bool wants_failure_report(std::uint32_t notify);
/// Whether it is told of a delay: NOTIFY absent, or with DELAY.
[[nodiscard]] bool wants_delay_report(std::uint32_t notify);
/// Whether it is told of a success: NOTIFY with SUCCESS.
[[nodiscard]] bool wants_success_report(std::uint32_t notify);

/// The domain of an address in lower case; empty if it has none.
[[nodiscard]] std::string domain_of(std::string_view address);

/// What a message that waits is about: the domains of its open recipients and their next hops, without
/// doubles.
[[nodiscard]] std::vector<std::string> topics_of(const Message& message);

/// The next hop that all open deliveries wait for; nullopt if there are several, or recipients to resolve.
[[nodiscard]] std::optional<std::string> only_next_hop(const Message& message);

}  // namespace postrider::queue_manager
