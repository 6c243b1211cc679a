#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "libcommon/async/loop.h"
#include "libcommon/async/scope.h"
#include "libcommon/async/thread_pool.h"
#include "libcommon/queue_file/queue_id.h"
#include "queue-manager/holds.h"
#include "queue-manager/mailbox_news.h"
#include "queue-manager/message.h"
#include "queue-manager/outcome.h"
#include "queue-manager/reports.h"
#include "queue-manager/resolver.h"
#include "queue-manager/scheduler.h"
#include "queue-manager/settings.h"
#include "queue-manager/spool.h"
#include "queue-manager/waiting_index.h"

namespace postrider::queue_manager {

/// Everything that was counted since the start.
struct Counters {
    std::uint64_t committed = 0;
    std::uint64_t delivered = 0;
    std::uint64_t relayed = 0;
    std::uint64_t deferred = 0;
    std::uint64_t failed = 0;
    std::uint64_t reports = 0;
    std::uint64_t removed = 0;
    std::uint64_t corrupt = 0;
    std::uint64_t jobs = 0;
    std::uint64_t lost_jobs = 0;
    std::uint64_t quarantined = 0;
    std::uint64_t released = 0;
};

/// The life of every message between its commit and its end (queue-manager(8)).
///
///     committed ─▶ active: resolve ─▶ ready ─▶ in flight ─▶ result ─▶ removed
///                    ▲                                        │
///                    └── loaded when due ◀── waiting ◀────────┘ deferred
///
/// Active messages are in memory with their envelope; waiting ones are on disk and in the WaitingIndex.
/// Whatever happens to a message is in its file before anything is done because of it, so the process can be
/// killed at any instant. All functions run on the loop.
class Queue {
  public:
    /// References outlive the queue. `jitter` gives numbers from -1 to 1.
    Queue(async::Loop& loop, const Settings& settings, Spool& spool, Resolver& resolver, JitterSource jitter);
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;

    /// Called after deliveries became ready for agents.
    void on_ready(std::function<void()> handler) { on_ready_ = std::move(handler); }

    /// Reads the names and times of the spool and begins to work.
    [[nodiscard]] Result<void> start();
    /// Offers and loads nothing more; results of jobs in flight are still taken.
    void stop();
    /// Whether reports are being written or recipients resolved.
    [[nodiscard]] bool idle() const { return tasks_.size() == 0; }

    /// Takes over a message that is durable in new/, or notes that there is one in hold/.
    void accept(const queue_file::Header& header, wire::Envelope envelope, Fd file);

    // ---- for the dispatcher ----

    /// The next job for an agent that takes `transports`, and what to send with it. The job is in flight from
    /// now.
    struct Dispatch {
        Job job;
        wire::DeliverJob frame;
        Fd descriptor;
    };
    [[nodiscard]] std::optional<Dispatch> next_job(TransportSet transports);
    /// A job has ended with these results; deliveries without one are deferred.
    void job_done(const Job& job, const std::vector<wire::DeliveryResult>& results);
    /// The agent of a job disappeared.
    void job_lost(const Job& job);

    /// Results of a job that was given out before this process started. They count for those deliveries of
    /// the message that still wait and whose transport is among `transports`; a message that is not in memory
    /// is read soon, because of them.
    void late_report(QueueId id, TransportSet transports, std::vector<wire::DeliveryResult> results);

    // ---- for the administrator ----

    /// Where a message is, for as long as it is in the queue.
    [[nodiscard]] std::optional<Folder> folder_of(QueueId id) const;
    [[nodiscard]] const Message* active(QueueId id) const;
    [[nodiscard]] const WaitingIndex& waiting() const { return waiting_; }
    /// All messages, in the order of their ids.
    [[nodiscard]] std::vector<QueueId> all() const;
    /// Messages of which is known that they have to do with a domain, or of which nothing is known yet.
    [[nodiscard]] std::vector<QueueId> perhaps_about(const std::string& domain, bool subdomains) const;
    /// Takes over a message that was moved from hold/ to new/.
    void released(QueueId id);
    /// Tries what is left of a message now, as far as `scope` covers it. False if there is no such message.
    bool flush(QueueId id, const FlushScope& scope);

    [[nodiscard]] const Counters& counters() const { return counters_; }
    [[nodiscard]] const Scheduler& scheduler() const { return scheduler_; }
    [[nodiscard]] std::size_t active_count() const { return active_.size(); }
    [[nodiscard]] UnixMillis now() const { return unix_millis_now() + clock_ahead_; }
#ifdef POSTRIDER_TEST_CLOCK
    /// Puts the queue's clock forward, for tests.
    void move_clock(UnixMillis forward);
#endif
    [[nodiscard]] QueueId next_id() { return ids_.next(now()); }
    /// Threads for commits.
    [[nodiscard]] async::ThreadPool& sync_pool() { return sync_pool_; }
    /// Threads for reading queue files.
    [[nodiscard]] async::ThreadPool& read_pool() { return read_pool_; }

  private:
    // Life of a message (queue.cpp).
    Message* find(QueueId id);
    Message& activate(std::unique_ptr<Message> message);
    void advance(Message& message);  // `message` may be gone afterwards
    void step(Message& message);
    void rest(Message& message);
    void to_waiting(Message& message);
    void finish(Message& message);
    void erase(QueueId id);
    void journal(Message& message, std::vector<wire::JournalRecord> records);
    void journal_unless_finished(Message& message, std::vector<wire::JournalRecord> records);
    [[nodiscard]] bool open_file(Message& message);
    void set_timer(Message& message, UnixMillis when);
    void arm();
    void on_timer();
    void load_due();
    [[nodiscard]] bool still_parked(QueueId id, const WaitingIndex::Entry& entry);
    async::Task<void> load(QueueId id, WaitingIndex::Entry entry);
    void loaded(QueueId id, WaitingIndex::Entry entry, Result<Spool::Loaded> result);
    void make_due(Message& message, const FlushScope& scope);
    [[nodiscard]] bool room_for(std::size_t recipients) const;
    [[nodiscard]] WaitingIndex::Entry entry_for(const Message& message, UnixMillis due);
    [[nodiscard]] std::optional<UnixMillis> delay_report_due(const Message& message) const;

    // Resolving and offering (queue_offer.cpp).
    void want_resolving(Message& message);
    void resolve_more();
    async::Task<void> resolve(QueueId id);
    async::Task<bool> resolve_recipients(QueueId id);
    async::Task<bool> resolve_expansions(QueueId id);
    void router_failed(Message& message, const Error& error);
    [[nodiscard]] bool take_plan(Message& message, ResolutionPlan plan);
    [[nodiscard]] bool take_resolution(Message& message, const std::vector<std::uint32_t>& indices,
                                       std::vector<Resolution> resolutions);
    void offer_due(Message& message);
    void offer(Message& message, const DestinationKey& key, const std::vector<ActiveDelivery*>& deliveries);
    void park(Message& message, ActiveDelivery& delivery, UnixMillis until);
    void park_all(const Scheduler::Effect& effect);

    // Routes with `hold` (queue_holds.cpp).
    /// Marks the deliveries from number `first` of the list on that wait for a flush.
    void hold_back(Message& message, std::size_t first);
    [[nodiscard]] bool watch_hold(const ActiveDelivery& delivery);
    [[nodiscard]] UnixMillis due_on_disk(const Message& message, UnixMillis due);
    void ask_about_holds();
    async::Task<void> update_holds();
    void release_held(const std::string& domain);
    [[nodiscard]] static wire::DeliveryResult held_too_long(const wire::Delivery& delivery);

    // Results (queue_results.cpp).
    void take_results(Message& message, std::vector<wire::DeliveryResult> results);
    void apply_late_report(Message& message);
    void conclude(Message& message, ActiveDelivery& delivery, const Judgement& judgement);
    void tell_of_mailbox(const ActiveDelivery& delivery);
    void note_mx_error(const Message& message, ActiveDelivery& delivery) const;
    void log_result(const Message& message, const ActiveDelivery& delivery, const Judgement& judgement) const;

    // Reports (queue_reports.cpp).
    void report_due(Message& message);
    void report_success(Message& message, bool expansions_only);
    void begin_report(Message& message, ReportKind kind, std::vector<std::uint32_t> numbers);
    async::Task<void> write_report(QueueId id, ReportInput input, std::vector<std::uint32_t> numbers);
    void reported(Message& message, ReportKind kind, const std::vector<std::uint32_t>& numbers,
                  QueueId report_id);
    void nobody_to_tell(Message& message, const std::vector<std::uint32_t>& numbers);
    [[nodiscard]] ReportInput report_input(const Message& message, ReportKind kind,
                                           const std::vector<std::uint32_t>& numbers) const;

    const Settings& settings_;
    Spool& spool_;
    Resolver& resolver_;
    JitterSource jitter_;
    queue_file::QueueIdSource ids_;
    Scheduler scheduler_;
    std::unordered_map<QueueId, std::unique_ptr<Message>> active_;
    std::size_t active_recipients_ = 0;
    std::size_t open_files_ = 0;
    std::set<std::pair<UnixMillis, QueueId>> timers_;  // of active messages
    WaitingIndex waiting_;
    std::unordered_map<QueueId, Folder> loading_;
    struct LateResult {
        TransportSet transports;  // what the agent that reported it may take
        wire::DeliveryResult result;
    };
    std::unordered_map<QueueId, std::vector<LateResult>> late_reports_;  // of messages not in memory yet
    std::size_t late_results_ = 0;                                       // in all of them
    std::unordered_map<QueueId, FlushScope> forced_;                     // waiting messages that were flushed
    Holds holds_;
    bool asking_about_holds_ = false;
    MailboxNews mailbox_news_;
    UnixMillis clock_ahead_ = 0;  // of the system's; 0 but in tests
    std::deque<QueueId> to_resolve_;
    std::size_t resolving_ = 0;
    bool in_resolve_more_ = false;
    bool stopped_ = false;
    Counters counters_;
    std::function<void()> on_ready_;
    async::Timer timer_;
    async::Timer prune_timer_;
    async::Timer hold_timer_;
    // The pools come after what their work uses, and the tasks that wait for them last: they end first.
    async::ThreadPool sync_pool_;
    async::ThreadPool read_pool_;
    async::Scope tasks_;
};

}  // namespace postrider::queue_manager
