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
#include "queue-manager/agenda.h"
#include "queue-manager/holds.h"
#include "queue-manager/intake_journal.h"
#include "queue-manager/mailbox_news.h"
#include "queue-manager/message.h"
#include "queue-manager/order.h"
#include "queue-manager/outcome.h"
#include "queue-manager/reports.h"
#include "queue-manager/resolver.h"
#include "queue-manager/settings.h"
#include "queue-manager/spool.h"
#include "queue-manager/suspensions.h"
#include "queue-manager/trace.h"
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
    std::uint64_t reports_withheld = 0;
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

    /// Takes over a message that is durable in new/, or notes that there is one in hold/. `image`: it is
    /// durable in the intake journal instead, and has no file; that is all of it.
    void accept(const queue_file::Header& header, wire::Envelope envelope, Fd file,
                std::shared_ptr<const std::string> image = nullptr);
    /// Where small messages are committed; nullptr if they are not. May have no room.
    [[nodiscard]] IntakeJournal* journal() const { return journal_.get(); }
    /// Whether a message with so many recipients would be worked on at once.
    [[nodiscard]] bool room_for(std::size_t recipients) const { return agenda_.room_for(recipients); }
    /// To be called when the intake journal has failed: what is in it becomes files.
    void rescue_journal();
    /// A descriptor to read a message in memory from: its file, or a copy of what is in the intake journal.
    [[nodiscard]] Result<Fd> open_readable(const Message& message) const;

    // ---- for the dispatcher ----

    /// The next job for an agent that takes `transports`, and what to send with it. The job is in flight from
    /// now.
    struct Dispatch {
        Job job;
        wire::DeliverJob frame;
        Fd descriptor;
    };
    [[nodiscard]] std::optional<Dispatch> next_job(TransportSet transports, Trust least);
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
    [[nodiscard]] const WaitingIndex& waiting() const { return agenda_.waiting(); }
    /// All messages, in no order: there may be a million.
    [[nodiscard]] std::vector<QueueId> all() const;
    /// Messages of which is known that they have to do with a domain, or of which it is not known that they
    /// have not; in the order of their ids.
    [[nodiscard]] std::vector<QueueId> perhaps_about(const std::string& domain, bool subdomains) const;
    /// Takes an order for one message in the queue, or in `kept` (Hold, Failed or Corrupt). False if there is
    /// none there, or it has an order already; else order.done will be called, perhaps at once.
    bool order(QueueId id, std::optional<Folder> kept, Order order);
    /// Suspends or resumes domains, or next hops, durably; those that this changed. Error: nothing was.
    async::Task<Result<std::vector<std::string>>> suspend(std::vector<std::string> domains, bool resume,
                                                          std::uint32_t by);
    [[nodiscard]] const Suspensions& suspensions() const { return suspensions_; }
    /// How many messages are known to wait for a domain or next hop.
    [[nodiscard]] std::size_t count_about(const std::string& name) const;
    /// What the connection that failed last said, of destinations that the scheduler knows of.
    [[nodiscard]] std::string last_failure_reply(const DestinationKey& destination) const;
    /// All active messages; the map does not change while the loop does nothing else.
    [[nodiscard]] const std::unordered_map<QueueId, std::unique_ptr<Message>>& all_active() const {
        return active_;
    }
    /// Messages that have ended.
    [[nodiscard]] const TraceRing& finished() const { return finished_; }
    /// The domains of senders by their numbers in the waiting index.
    [[nodiscard]] const SenderNames& senders() const { return senders_; }
    /// Whether the message waits for an attempt to end, to be changed then.
    [[nodiscard]] bool ordered(QueueId id) const { return orders_.count(id) > 0; }
    /// Takes over a message that was moved from hold/ to new/.
    void released(QueueId id);
    /// Tries what is left of a message now, as far as `scope` covers it. False if there is no such message.
    bool flush(QueueId id, const FlushScope& scope);

    [[nodiscard]] const Counters& counters() const { return counters_; }
    [[nodiscard]] const Scheduler& scheduler() const { return agenda_.scheduler(); }
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
    [[nodiscard]] bool keep_in_failed(Message& message);
    [[nodiscard]] bool remove_file(Message& message);
    void erase(QueueId id);
    void journal(Message& message, std::vector<wire::JournalRecord> records);
    void journal_unless_finished(Message& message, std::vector<wire::JournalRecord> records);
    [[nodiscard]] bool open_file(Message& message);
    void set_timer(Message& message, UnixMillis when);
    void arm();
    void on_timer();
    [[nodiscard]] Result<void> scan_spool();
    void load_due();
    async::Task<void> load(QueueId id, WaitingIndex::Entry entry);
    void loaded(QueueId id, WaitingIndex::Entry entry, Result<Spool::Loaded> result);
    void make_due(Message& message, const FlushScope& scope);
    [[nodiscard]] WaitingIndex::Entry entry_for(const Message& message, UnixMillis due);
    [[nodiscard]] std::optional<UnixMillis> delay_report_due(const Message& message) const;

    // Messages that wait for a destination that is down, and those not read yet (queue_waiting.cpp).
    [[nodiscard]] std::optional<Agenda::Only> only_destination(const Message& message) const;
    /// Its destination is down until then.
    void park(Message& message, ActiveDelivery& delivery, UnixMillis until);
    void park_later(const Agenda::Ended& ended);
    void park_some();
    [[nodiscard]] std::vector<QueueId> waiting_perhaps_about(const std::string& name, bool subdomains) const;
    async::Task<void> read_unknown();
    void learn(QueueId id, const Message* read);

    // The intake journal (queue_settle.cpp).
    void recover_journal();
    [[nodiscard]] Result<std::vector<QueueId>> make_files_of_journal();
    [[nodiscard]] Result<void> write_records(Message& message,
                                             const std::vector<wire::JournalRecord>& records);
    /// Makes a file of a message in the journal; advance() follows when it is durable.
    void settle(Message& message);
    async::Task<void> settle_file(QueueId id);
    [[nodiscard]] bool settled(Message& message, std::size_t written, Result<Fd> file);

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
    void postpone(Message& message, ActiveDelivery& delivery, const Agenda::Postponement& postponement,
                  bool full);
    void offer_called(const Agenda::Ended& ended, const DestinationKey& destination);
    [[nodiscard]] static wire::DeliveryResult never_tried(const wire::Delivery& delivery);
    void job_ended(const Job& job, JobOutcome outcome, Milliseconds retry_in);

    // Routes with `hold` or `schedule=` (queue_holds.cpp).
    /// Sets when the deliveries from number `first` of the list on are due that have such a route.
    void hold_back(Message& message, std::size_t first);
    Holds::Current watch_hold(const ActiveDelivery& delivery);
    [[nodiscard]] UnixMillis due_on_disk(const Message& message, UnixMillis due);
    void ask_about_holds();
    async::Task<void> update_holds();
    void schedules_changed(const std::vector<std::string>& domains);
    [[nodiscard]] static wire::DeliveryResult held_too_long(const wire::Delivery& delivery);

    // Orders of an administrator (queue_orders.cpp).
    void withdraw(Message& message);
    void begin_order(Message& message);
    void spawn_order(QueueId id, Folder folder, bool verify, Order order);
    async::Task<void> carry_out(QueueId id, Folder folder, bool verify, std::shared_ptr<Order> order);
    void carried_out(QueueId id, Folder before, const Order& order, const Result<Folder>& result);
    void end_order(QueueId id, Order::Outcome outcome);
    void fail_open(Message& message);
    [[nodiscard]] bool back_to_hold(const Message& message);

    // Suspended domains (queue_suspend.cpp).
    [[nodiscard]] std::optional<wire::DeliveryResult> suspend(Message& message, ActiveDelivery& delivery);
    void stop_offering(const std::vector<std::string>& domains);
    void resume(const std::vector<std::string>& domains);

    // What administrators look at later (queue_memory.cpp).
    void note_failure(const Job& job, const std::vector<wire::DeliveryResult>& results);
    void prune_failures();
    void remember(Message& message, std::string_view event);
    void remember_deleted(QueueId id, const Spool::History& history);

    // Results (queue_results.cpp).
    void take_results(Message& message, std::vector<wire::DeliveryResult> results);
    static void add_shared_results(const Message& message, std::vector<wire::DeliveryResult>& results);
    /// The result of a delivery that does the same as one that has ended.
    [[nodiscard]] static wire::DeliveryResult shared_result(const wire::Delivery& delivery,
                                                            const ActiveDelivery& leader);
    void apply_late_report(Message& message);
    void conclude(Message& message, ActiveDelivery& delivery, const Judgement& judgement);
    void tell_of_mailbox(const ActiveDelivery& delivery);
    void note_mx_error(const Message& message, ActiveDelivery& delivery) const;
    void log_result(const Message& message, const ActiveDelivery& delivery, const Judgement& judgement) const;

    // Reports (queue_reports.cpp).
    void report_due(Message& message);
    void report_success(Message& message, bool expansions_only);
    /// What a report tells of.
    struct Told {
        ReportKind kind = ReportKind::Failed;
        std::vector<std::uint32_t> deliveries;  // by number
        std::vector<std::uint32_t> recipients;  // of Delayed: unresolved ones, by index
    };
    void report_failures(Message& message);
    void report_delays(Message& message);
    void begin_report(Message& message, Told told);
    async::Task<void> write_report(QueueId id, ReportInput input, Told told);
    void reported(Message& message, const Told& told, std::optional<QueueId> report_id);
    void withhold(Message& message, const Told& told, const std::string& to, const char* reason);
    void nobody_to_tell(Message& message, const std::vector<std::uint32_t>& numbers);
    [[nodiscard]] const std::string& recipient_of_report(const Message& message, const Told& told) const;
    [[nodiscard]] ReportInput report_input(const Message& message, const Told& told) const;
    [[nodiscard]] ReportedRecipient reported_delivery(const Message& message,
                                                      const ActiveDelivery& delivery) const;
    /// When the gathering of failures for one report ends.
    [[nodiscard]] UnixMillis gathered_until(const Message& message) const;

    async::Loop& loop_;
    const Settings& settings_;
    Spool& spool_;
    Resolver& resolver_;
    JitterSource jitter_;
    queue_file::QueueIdSource ids_;
    Agenda agenda_;
    std::unordered_map<QueueId, std::unique_ptr<Message>> active_;
    std::size_t open_files_ = 0;
    struct LateResult {
        TransportSet transports;  // what the agent that reported it may take
        wire::DeliveryResult result;
    };
    std::unordered_map<QueueId, std::vector<LateResult>> late_reports_;  // of messages not in memory yet
    std::size_t late_results_ = 0;                                       // in all of them
    std::unordered_map<QueueId, FlushScope> forced_;                     // waiting messages that were flushed
    std::unordered_map<QueueId, Order> orders_;  // that wait until they can be carried out
    std::deque<ReadyMessage> to_park_;           // taken off the lists of destinations that went down
    Suspensions suspensions_;
    bool changing_suspensions_ = false;
    std::map<DestinationKey, std::string> failure_replies_;
    TraceRing finished_;
    SenderNames senders_;
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
    async::Timer unknown_timer_;
    // The pools come after what their work uses, and the tasks that wait for them last: they end first.
    async::ThreadPool sync_pool_;
    async::ThreadPool read_pool_;
    std::unique_ptr<IntakeJournal> journal_;
    bool journal_recovered_ = false;
    bool started_ = false;  // the spool was read
    async::Scope tasks_;
};

}  // namespace postrider::queue_manager
