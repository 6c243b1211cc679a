#include "queue-manager/queue.h"

#include <algorithm>
#include <utility>

#include "libcommon/log/log.h"
#include "queue-manager/topic_hint.h"

namespace postrider::queue_manager {

namespace {

// Files kept open between the commit and the end of the first attempt; beyond that they are opened again.
constexpr std::size_t kMaxOpenFiles = 4000;
constexpr std::size_t kReadThreads = 4;
constexpr std::size_t kPoolQueue = 100'000;
constexpr Milliseconds kReadUnknownAfter{1'000};
constexpr Milliseconds kPruneInterval{60'000};
constexpr UnixMillis kKeepDestination = 7'200'000;  // longer than any dead time
// A timer that is far away is armed for this long and then looked at again.
constexpr UnixMillis kMaxTimer = 3'600'000;

}  // namespace

Queue::Queue(async::Loop& loop, const Settings& settings, Spool& spool, Resolver& resolver,
             JitterSource jitter)
    : loop_(loop),
      settings_(settings),
      spool_(spool),
      resolver_(resolver),
      jitter_(jitter),
      agenda_(settings, std::move(jitter)),
      finished_(settings.trace_messages),
      mailbox_news_(settings.full_mailbox_time),
      timer_(loop, [this] { on_timer(); }),
      prune_timer_(loop,
                   [this] {
                       agenda_.scheduler().prune(now() - kKeepDestination);
                       prune_failures();
                       if (!journal_recovered_) recover_journal();
                       if (journal_) journal_->start();
                       prune_timer_.arm(kPruneInterval);
                   }),
      hold_timer_(loop, [this] { ask_about_holds(); }),
      unknown_timer_(loop, [this] { tasks_.spawn(read_unknown()); }),
      sync_pool_(loop, settings.sync_threads, kPoolQueue),
      read_pool_(loop, kReadThreads, kPoolQueue),
      tasks_(loop) {}

Result<void> Queue::start() {
    spool_.empty_tmp();
    recover_journal();
    agenda_.start(now());
    auto scanned = scan_spool();
    if (!scanned) return scanned;
    auto suspended = spool_.read_note(Suspensions::kFile);
    if (!suspended) return failure(suspended.error());
    suspensions_ = Suspensions(suspended->value_or(""));
    log::info("queue_read").add("messages", agenda_.waiting().size());
    started_ = true;
    unknown_timer_.arm(kReadUnknownAfter);
    resolver_.start([this] { resolve_more(); });
    prune_timer_.arm(kPruneInterval);
    arm();
    return {};
}

void Queue::stop() {
    stopped_ = true;
    timer_.disarm();
    prune_timer_.disarm();
    hold_timer_.disarm();
    unknown_timer_.disarm();
}

#ifdef POSTRIDER_TEST_CLOCK
void Queue::move_clock(UnixMillis forward) {
    clock_ahead_ += forward;
    arm();
}
#endif

Message* Queue::find(QueueId id) {
    auto found = active_.find(id);
    return found == active_.end() ? nullptr : found->second.get();
}

void Queue::accept(const queue_file::Header& header, wire::Envelope envelope, Fd file,
                   std::shared_ptr<const std::string> image) {
    ++counters_.committed;
    agenda_.arrived();
    log::info("queued")
        .add("id", header.id.text())
        .add_address("from", envelope.sender())
        .add("size", header.content_length)
        .add("recipients", envelope.recipients_size())
        .add("client", envelope.client_address());
    if (!envelope.quarantine_rule().empty()) {
        ++counters_.quarantined;
        log::info("quarantined")
            .add("id", header.id.text())
            .add("reason", envelope.quarantine_reason())
            .add("rule", envelope.quarantine_rule());
        return;
    }
    auto recipients = static_cast<std::size_t>(envelope.recipients_size());
    auto message = std::make_unique<Message>(header, std::move(envelope), std::move(file));
    if (image) {
        message->image = std::move(image);
        message->folder = Folder::Journal;
        Message& active = activate(std::move(message));
        for (QueueId id : journal_->in_the_way()) {
            if (Message* other = find(id)) settle(*other);
        }
        return advance(active);
    }
    if (!agenda_.room_for(recipients) || stopped_) {
        // It is durable; it is read again when there is room.
        agenda_.waiting().add(header.id, entry_for(*message, now()));
        return;
    }
    advance(activate(std::move(message)));
}

Message& Queue::activate(std::unique_ptr<Message> message) {
    Message& active = *message;
    agenda_.enter(static_cast<std::size_t>(active.envelope.recipients_size()), active.read);
    if (active.file && open_files_ >= kMaxOpenFiles) active.file.reset();
    if (active.file) ++open_files_;
    active_.emplace(active.id(), std::move(message));
    return active;
}

bool Queue::open_file(Message& message) {
    if (message.file) return true;
    auto file = spool_.open_writable(message.id(), message.folder);
    if (!file) {
        log::error("cannot_open_message").add("id", message.id().text()).add("reason", file.error().text);
        return false;
    }
    message.file = std::move(*file);
    ++open_files_;
    return true;
}

void Queue::erase(QueueId id) {
    auto found = active_.find(id);
    if (found == active_.end()) return;
    Message& message = *found->second;
    agenda_.leave(id, message.timer, static_cast<std::size_t>(message.envelope.recipients_size()),
                  message.read);
    if (message.file) --open_files_;
    active_.erase(found);
    arm();
}

void Queue::advance(Message& message) {
    step(message);
    // Only here, where nobody holds the message any more: a task that fails at once advances another one.
    resolve_more();
}

void Queue::step(Message& message) {
    const bool is_ordered = ordered(message.id());
    if (is_ordered) withdraw(message);
    if (!stopped_) {
        if (message.fail_order && !is_ordered)
            fail_open(message);
        else
            offer_due(message);
        report_due(message);
    }
    if (message.settling) return;
    if (message.finished()) return finish(message);
    if (!message.unwritten.empty()) journal(message, {});
    if (is_ordered && message.quiet()) return begin_order(message);
    if (!stopped_) rest(message);
}

void Queue::rest(Message& message) {
    if (!message.unwritten.empty()) return set_timer(message, now() + kRetryFault);
    bool unsaid = message.count(Phase::FailedUnsaid) > 0 || message.has_unsaid_success();
    if (message.busy()) {
        bool window_open = message.first_failure != 0 && !message.reporting;
        UnixMillis report = std::max({gathered_until(message), message.report_due, now() + 1});
        return set_timer(message, window_open ? std::min(message.scan_due, report) : message.scan_due);
    }
    if (unsaid) {
        // More may fail while failures are gathered for one report; see report_due().
        const bool gathers = !message.has_unsaid_success() && message.next_due() < gathered_until(message);
        const UnixMillis report =
            std::max({gathers ? gathered_until(message) : 0, message.report_due, now() + 1});
        return set_timer(message, std::min(report, std::max(message.scan_due, now() + 1)));
    }
    to_waiting(message);
}

void Queue::journal(Message& message, std::vector<wire::JournalRecord> records) {
    auto& all = message.unwritten;
    std::move(records.begin(), records.end(), std::back_inserter(all));
    if (all.empty()) return;
    auto written = write_records(message, all);
    if (!written) {
        // What was delivered stays known in memory; only a crash before the next attempt to write would make
        // a second copy.
        log::error("cannot_write_journal").add("id", message.id().text()).add("reason", written.error().text);
        return;
    }
    all.clear();
}

void Queue::journal_unless_finished(Message& message, std::vector<wire::JournalRecord> records) {
    if (!message.finished() || message.keep_as_failed) return journal(message, std::move(records));
    // The file is removed next, which says the same at no cost; should that fail, finish() writes them.
    std::move(records.begin(), records.end(), std::back_inserter(message.unwritten));
}

std::optional<UnixMillis> Queue::delay_report_due(const Message& message) const {
    bool wanted = settings_.delay_warning.count() > 0 && !message.unanswerable() &&
                  (!message.untold_delays().empty() || !message.untold_unresolved().empty());
    if (!wanted) return std::nullopt;
    return message.envelope.arrival_ms() + static_cast<UnixMillis>(settings_.delay_warning.count());
}

WaitingIndex::Entry Queue::entry_for(const Message& message, UnixMillis due) {
    WaitingIndex::Entry entry;
    entry.due = due;
    entry.folder = message.folder;
    entry.known = true;
    entry.sender = senders_.number(domain_of(message.envelope.sender()));
    for (const auto& name : topics_of(message))
        entry.topics.push_back(agenda_.waiting().topic(name));
    auto delay = delay_report_due(message);
    // In the past it was decided already that nobody wants to be told.
    if (delay && *delay > now()) entry.due = std::min(entry.due, *delay);
    return entry;
}

void Queue::to_waiting(Message& message) {
    UnixMillis due = message.next_due();
    // What is held may be kept for ever; nothing else should wait for nothing.
    if (due == kNever && message.count(Phase::Waiting) == 0) due = now() + kRetryFault;
    if (message.image) return settle(message);
    WaitingIndex::Entry entry = entry_for(message, due);
    const std::optional<Agenda::Only> only = only_destination(message);
    // One that is parked again keeps its time on disk, which has come: the next start reads it at once. To
    // change the files of all that waits for dead destinations keeps a disk busy for minutes, on which new
    // mail is synced.
    if (message.folder != Folder::Cur || !agenda_.parked_until(only, entry.due, now())) {
        if (!open_file(message)) return set_timer(message, now() + kRetryFault);
        auto moved = spool_.wait_until(message.id(), message.folder, message.file, due_on_disk(message, due),
                                       hint_of(topics_of(message)));
        if (!moved) {
            log::error("cannot_defer_message")
                .add("id", message.id().text())
                .add("reason", moved.error().text);
            return set_timer(message, now() + kRetryFault);
        }
    }
    entry.folder = Folder::Cur;
    QueueId id = message.id();
    agenda_.wait(id, std::move(entry), only, now());
    erase(id);
}

bool Queue::keep_in_failed(Message& message) {
    // Whoever requeues it has to see what was delivered, so the journal goes first.
    journal(message, {});
    if (!message.unwritten.empty()) return false;
    auto moved = spool_.move_to_failed(message.id(), message.folder);
    if (!moved) {
        log::error("cannot_move_to_failed").add("id", message.id().text()).add("reason", moved.error().text);
        return false;
    }
    log::warning("kept_in_failed").add("id", message.id().text());
    return true;
}

bool Queue::remove_file(Message& message) {
    if (message.image) {
        journal_->end(message.id());
        return true;
    }
    auto removed = spool_.remove(message.id(), message.folder);
    if (removed) return true;
    log::error("cannot_remove_message").add("id", message.id().text()).add("reason", removed.error().text);
    // The next start may find the file: it has to say that nothing is left to do.
    journal(message, {});
    return false;
}

void Queue::finish(Message& message) {
    QueueId id = message.id();
    if (message.keep_as_failed && message.image) return settle(message);
    const bool left = message.keep_as_failed ? keep_in_failed(message) : remove_file(message);
    // Forgotten now it would be delivered once more after the next start, so it stays until the disk lets it
    // go.
    if (!left) return set_timer(message, now() + kRetryFault);
    if (message.keep_as_failed) {
        erase(id);
        return end_order(id, Order::Outcome::Gone);
    }
    remember(message, "removed");
    ++counters_.removed;
    log::info("removed")
        .add("id", id.text())
        .add("delay", Milliseconds(now() - std::min(now(), message.envelope.arrival_ms())));
    erase(id);
    end_order(id, Order::Outcome::Gone);
}

void Queue::set_timer(Message& message, UnixMillis when) {
    agenda_.set_timer(message.id(), message.timer, when);
    arm();
}

void Queue::arm() {
    if (stopped_) return;
    UnixMillis time = now();
    UnixMillis next = std::min(time + kMaxTimer, agenda_.next_event().value_or(kNever));
    if (!to_park_.empty()) next = time;
    timer_.arm(Milliseconds(next > time ? next - time : 0));
}

void Queue::on_timer() {
    park_some();
    // Of those that are due now: one that sets itself a new timer for now waits for the next turn of the
    // loop.
    for (QueueId id : agenda_.timers_due(now())) {
        Message* message = find(id);
        if (message == nullptr) continue;
        agenda_.set_timer(id, message->timer, 0);
        advance(*message);
    }
    load_due();
    arm();
    if (on_ready_) on_ready_();
}

void Queue::load_due() {
    while (!stopped_) {
        auto next = agenda_.next_to_load(now());
        if (!next) return;
        tasks_.spawn(load(next->id, std::move(next->entry)));
    }
}

async::Task<void> Queue::load(QueueId id, WaitingIndex::Entry entry) {
    std::function<Result<Spool::Loaded>()> work = [spool = &spool_, id, folder = entry.folder,
                                                   verify = entry.verify] {
        return spool->take_up(id, folder, verify);
    };
    auto result = co_await read_pool_.run(std::move(work));
    if (result) {
        loaded(id, std::move(entry), std::move(*result));
    } else {
        loaded(id, std::move(entry), temporary("too many messages are being read"));
    }
}

void Queue::make_due(Message& message, const FlushScope& scope) {
    message.scan_due = 0;
    message.resolve_due = 0;
    if (!message.unresolved.empty()) message.flush_resolved.add(scope);
    for (auto& delivery : message.deliveries) {
        if (delivery.phase != Phase::Waiting || !scope.covers(delivery.delivery)) continue;
        if (delivery.schedule.kind == DeliverySchedule::Kind::Never) continue;
        delivery.due = 0;
        agenda_.scheduler().forgive(delivery.destination());
    }
}

void Queue::loaded(QueueId id, WaitingIndex::Entry entry, Result<Spool::Loaded> result) {
    agenda_.load_ended(id);
    if (!result) end_order(id, Order::Outcome::Failed);
    std::optional<FlushScope> forced;
    if (entry.forced) forced = FlushScope("", false);
    if (auto scoped = forced_.extract(id)) {
        if (!forced) forced.emplace();
        forced->add(scoped.mapped());
    }
    if (!result && result.error().temporary()) {
        log::error("cannot_read_message").add("id", id.text()).add("reason", result.error().text);
        entry.due = now() + kRetryFault;
        // Its topics may be gone with its last entry; they are learnt again when it is read.
        entry.known = false;
        agenda_.waiting().add(id, entry);
        // What an administrator asked for is not forgotten because of that.
        if (forced) forced_.emplace(id, std::move(*forced));
        return arm();
    }
    if (!result) {
        ++counters_.corrupt;
        log::error("corrupt_message").add("id", id.text()).add("reason", result.error().text);
        auto moved = spool_.move_to_corrupt(id, entry.folder);
        if (!moved)
            log::error("cannot_move_to_corrupt").add("id", id.text()).add("reason", moved.error().text);
        return arm();
    }
    auto message =
        std::make_unique<Message>(std::move(result->contents), entry.folder, std::move(result->file));
    message->read = true;
    if (message->hold_order && back_to_hold(*message)) return arm();
    hold_back(*message, 0);
    if (forced) make_due(*message, *forced);
    Message& active = activate(std::move(message));
    apply_late_report(active);
    advance(active);
    if (on_ready_) on_ready_();
    arm();
}

std::optional<Folder> Queue::folder_of(QueueId id) const {
    auto active = active_.find(id);
    if (active != active_.end()) return active->second->folder;
    auto loading = agenda_.loading().find(id);
    if (loading != agenda_.loading().end()) return loading->second;
    return waiting().folder_of(id);
}

const Message* Queue::active(QueueId id) const {
    auto found = active_.find(id);
    return found == active_.end() ? nullptr : found->second.get();
}

std::vector<QueueId> Queue::all() const {
    std::vector<QueueId> ids = waiting().all();
    for (const auto& [id, message] : active_)
        ids.push_back(id);
    for (const auto& [id, folder] : agenda_.loading())
        ids.push_back(id);
    return ids;
}

std::vector<QueueId> Queue::perhaps_about(const std::string& domain, bool subdomains) const {
    std::vector<QueueId> ids = waiting_perhaps_about(domain, subdomains);
    const std::vector<QueueId> by_next_hop = waiting_perhaps_about(domain + ":25", subdomains);
    ids.insert(ids.end(), by_next_hop.begin(), by_next_hop.end());
    for (const auto& [id, message] : active_)
        ids.push_back(id);
    for (const auto& [id, folder] : agenda_.loading())
        ids.push_back(id);
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
}

void Queue::released(QueueId id) {
    ++counters_.released;
    WaitingIndex::Entry entry;
    entry.due = now();
    entry.folder = Folder::New;
    agenda_.waiting().add(id, entry);
    arm();
}

bool Queue::flush(QueueId id, const FlushScope& scope) {
    Message* message = find(id);
    if (message != nullptr) {
        make_due(*message, scope);
        advance(*message);
        if (on_ready_) on_ready_();
        return true;
    }
    const bool loading = agenda_.loading().count(id) > 0;
    // Before all that is due by itself.
    if (!loading && !agenda_.waiting().release(id, 0, scope.everything())) return false;
    if (loading || !scope.everything()) forced_[id].add(scope);
    arm();
    return true;
}

}  // namespace postrider::queue_manager
