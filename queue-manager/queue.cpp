#include "queue-manager/queue.h"

#include <algorithm>
#include <utility>

#include "libcommon/log/log.h"

namespace postrider::queue_manager {

namespace {

// Files kept open between the commit and the end of the first attempt; beyond that they are opened again.
constexpr std::size_t kMaxOpenFiles = 4000;
// Messages being read at the same time: enough to keep the reading threads busy.
constexpr std::size_t kMaxLoading = 64;
constexpr std::size_t kReadThreads = 4;
constexpr std::size_t kPoolQueue = 100'000;
constexpr Milliseconds kPruneInterval{60'000};
constexpr UnixMillis kKeepDestination = 7'200'000;  // longer than any dead time
// A timer that is far away is armed for this long and then looked at again.
constexpr UnixMillis kMaxTimer = 3'600'000;

}  // namespace

Queue::Queue(async::Loop& loop, const Settings& settings, Spool& spool, Resolver& resolver,
             JitterSource jitter)
    : settings_(settings),
      spool_(spool),
      resolver_(resolver),
      jitter_(jitter),
      scheduler_(settings.scheduler, std::move(jitter)),
      mailbox_news_(settings.full_mailbox_time),
      timer_(loop, [this] { on_timer(); }),
      prune_timer_(loop,
                   [this] {
                       scheduler_.prune(now() - kKeepDestination);
                       prune_timer_.arm(kPruneInterval);
                   }),
      hold_timer_(loop, [this] { ask_about_holds(); }),
      sync_pool_(loop, settings.sync_threads, kPoolQueue),
      read_pool_(loop, kReadThreads, kPoolQueue),
      tasks_(loop) {}

Result<void> Queue::start() {
    auto scanned = spool_.scan([this](const Spool::Found& found) {
        WaitingIndex::Entry entry;
        entry.due = found.due;
        entry.folder = found.folder;
        entry.delay_pending = true;
        waiting_.add(found.id, std::move(entry));
    });
    if (!scanned) return scanned;
    log::info("queue_read").add("messages", waiting_.size());
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

bool Queue::room_for(std::size_t recipients) const {
    return active_.size() < settings_.active_messages &&
           (active_.empty() || active_recipients_ + recipients <= settings_.active_recipients);
}

void Queue::accept(const queue_file::Header& header, wire::Envelope envelope, Fd file) {
    ++counters_.committed;
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
    if (!room_for(recipients) || stopped_) {
        // It is durable; it is read again when there is room.
        waiting_.add(header.id, entry_for(*message, now()));
        return;
    }
    advance(activate(std::move(message)));
}

Message& Queue::activate(std::unique_ptr<Message> message) {
    Message& active = *message;
    active_recipients_ += static_cast<std::size_t>(active.envelope.recipients_size());
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
    active_recipients_ -= static_cast<std::size_t>(message.envelope.recipients_size());
    if (message.file) --open_files_;
    if (message.timer != 0) timers_.erase({message.timer, id});
    active_.erase(found);
    arm();
}

void Queue::advance(Message& message) {
    step(message);
    // Only here, where nobody holds the message any more: a task that fails at once advances another one.
    resolve_more();
}

void Queue::step(Message& message) {
    if (!stopped_) {
        offer_due(message);
        report_due(message);
    }
    if (message.finished()) return finish(message);
    if (!message.unwritten.empty()) journal(message, {});
    if (!stopped_) rest(message);
}

void Queue::rest(Message& message) {
    if (!message.unwritten.empty()) return set_timer(message, now() + kRetryFault);
    bool unsaid = message.count(Phase::FailedUnsaid) > 0 || message.has_unsaid_success();
    if (message.busy()) {
        UnixMillis window = message.first_failure + static_cast<UnixMillis>(settings_.dsn_aggregate.count());
        bool window_open = message.first_failure != 0 && !message.reporting;
        UnixMillis report = std::max({window, message.report_due, now() + 1});
        return set_timer(message, window_open ? std::min(message.scan_due, report) : message.scan_due);
    }
    if (unsaid) return set_timer(message, std::max(message.report_due, now() + 1));
    to_waiting(message);
}

void Queue::journal(Message& message, std::vector<wire::JournalRecord> records) {
    auto& all = message.unwritten;
    std::move(records.begin(), records.end(), std::back_inserter(all));
    if (all.empty() || !open_file(message)) return;
    auto written = spool_.append_journal(message.id(), message.file, message.journal_end, all);
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
    bool wanted = settings_.delay_warning.count() > 0 && !message.delay_reported && !message.unanswerable();
    if (!wanted) return std::nullopt;
    return message.envelope.arrival_ms() + static_cast<UnixMillis>(settings_.delay_warning.count());
}

WaitingIndex::Entry Queue::entry_for(const Message& message, UnixMillis due) {
    WaitingIndex::Entry entry;
    entry.due = due;
    entry.folder = message.folder;
    entry.known = true;
    for (const auto& name : topics_of(message))
        entry.topics.push_back(waiting_.topic(name));
    auto delay = delay_report_due(message);
    // In the past it was decided already that nobody wants to be told.
    if (delay && *delay > now()) {
        entry.delay_pending = true;
        entry.due = std::min(entry.due, *delay);
    }
    return entry;
}

void Queue::to_waiting(Message& message) {
    UnixMillis due = message.next_due();
    // What is held may be kept for ever; nothing else should wait for nothing.
    if (due == kNever && message.count(Phase::Waiting) == 0) due = now() + kRetryFault;
    if (!open_file(message)) return set_timer(message, now() + kRetryFault);
    auto moved = spool_.wait_until(message.id(), message.folder, message.file, due_on_disk(message, due));
    if (!moved) {
        log::error("cannot_defer_message").add("id", message.id().text()).add("reason", moved.error().text);
        return set_timer(message, now() + kRetryFault);
    }
    message.folder = Folder::Cur;
    WaitingIndex::Entry entry = entry_for(message, due);
    // What is held does not come back when its host does.
    auto next_hop = message.holds_something() ? std::nullopt : only_next_hop(message);
    if (next_hop && scheduler_.refused_until({wire::TRANSPORT_SMTP, *next_hop}, now())) {
        entry.parked_for = waiting_.topic(*next_hop);
    }
    QueueId id = message.id();
    waiting_.add(id, std::move(entry));
    erase(id);
}

void Queue::finish(Message& message) {
    QueueId id = message.id();
    if (message.keep_as_failed) {
        journal(message, {});
        auto moved = spool_.move_to_failed(id, message.folder);
        if (!moved)
            log::error("cannot_move_to_failed").add("id", id.text()).add("reason", moved.error().text);
        log::warning("kept_in_failed").add("id", id.text());
        erase(id);
        return;
    }
    auto removed = spool_.remove(id, message.folder);
    if (!removed) {
        log::error("cannot_remove_message").add("id", id.text()).add("reason", removed.error().text);
        // The file will be found at the next start: it has to say that nothing is left to do.
        journal(message, {});
    }
    ++counters_.removed;
    log::info("removed")
        .add("id", id.text())
        .add("delay", Milliseconds(now() - std::min(now(), message.envelope.arrival_ms())));
    erase(id);
}

void Queue::set_timer(Message& message, UnixMillis when) {
    if (when == kNever) when = 0;
    if (when == message.timer) return;
    if (message.timer != 0) timers_.erase({message.timer, message.id()});
    message.timer = when;
    if (when != 0) timers_.emplace(when, message.id());
    arm();
}

void Queue::arm() {
    if (stopped_) return;
    UnixMillis time = now();
    UnixMillis next = time + kMaxTimer;
    if (!timers_.empty()) next = std::min(next, timers_.begin()->first);
    auto due = waiting_.next_due();
    if (due && loading_.size() < kMaxLoading && room_for(1)) next = std::min(next, *due);
    timer_.arm(Milliseconds(next > time ? next - time : 0));
}

void Queue::on_timer() {
    UnixMillis time = now();
    // As many as are due now: one that sets itself a new timer for now waits for the next turn of the loop.
    std::vector<QueueId> due;
    for (const auto& [when, id] : timers_) {
        if (when > time) break;
        due.push_back(id);
    }
    for (QueueId id : due) {
        Message* message = find(id);
        if (message == nullptr) continue;
        timers_.erase({message->timer, id});
        message->timer = 0;
        advance(*message);
    }
    load_due();
    arm();
    if (on_ready_) on_ready_();
}

bool Queue::still_parked(QueueId id, const WaitingIndex::Entry& entry) {
    if (!entry.parked_for) return false;
    UnixMillis time = now();
    auto passed = [&](Milliseconds age) {
        return time >= id.milliseconds() + static_cast<UnixMillis>(age.count());
    };
    if (passed(settings_.lifetime)) return false;
    if (entry.delay_pending && passed(settings_.delay_warning)) return false;
    auto until =
        scheduler_.refused_until({wire::TRANSPORT_SMTP, waiting_.topic_name(*entry.parked_for)}, time);
    if (!until) return false;
    waiting_.set_due(id, *until);
    return true;
}

void Queue::load_due() {
    while (!stopped_ && loading_.size() < kMaxLoading && room_for(1)) {
        auto id = waiting_.first_due(now());
        if (!id) return;
        if (still_parked(*id, *waiting_.find(*id))) continue;
        auto entry = waiting_.take(*id);
        loading_.emplace(*id, entry->folder);
        tasks_.spawn(load(*id, std::move(*entry)));
    }
}

async::Task<void> Queue::load(QueueId id, WaitingIndex::Entry entry) {
    // A file in new/ that this process did not commit may be one whose commit a crash interrupted.
    bool verify = entry.folder == Folder::New && !entry.known;
    std::function<Result<Spool::Loaded>()> work = [spool = &spool_, id, folder = entry.folder, verify] {
        return spool->load(id, folder, verify);
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
        delivery.due = 0;
        scheduler_.forgive(delivery.destination());
    }
}

void Queue::loaded(QueueId id, WaitingIndex::Entry entry, Result<Spool::Loaded> result) {
    loading_.erase(id);
    auto forced = forced_.extract(id);
    if (!result && result.error().temporary()) {
        log::error("cannot_read_message").add("id", id.text()).add("reason", result.error().text);
        entry.due = now() + kRetryFault;
        // Its topics may be gone with its last entry; they are learnt again when it is read.
        entry.topics.clear();
        entry.parked_for.reset();
        entry.known = false;
        waiting_.add(id, std::move(entry));
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
    hold_back(*message, 0);
    if (forced) make_due(*message, forced.mapped());
    Message& active = activate(std::move(message));
    apply_late_report(active);
    advance(active);
    if (on_ready_) on_ready_();
    arm();
}

std::optional<Folder> Queue::folder_of(QueueId id) const {
    auto active = active_.find(id);
    if (active != active_.end()) return active->second->folder;
    auto loading = loading_.find(id);
    if (loading != loading_.end()) return loading->second;
    const WaitingIndex::Entry* entry = waiting_.find(id);
    if (entry != nullptr) return entry->folder;
    return std::nullopt;
}

const Message* Queue::active(QueueId id) const {
    auto found = active_.find(id);
    return found == active_.end() ? nullptr : found->second.get();
}

std::vector<QueueId> Queue::all() const {
    std::vector<QueueId> ids = waiting_.all();
    for (const auto& [id, message] : active_)
        ids.push_back(id);
    for (const auto& [id, folder] : loading_)
        ids.push_back(id);
    std::sort(ids.begin(), ids.end());
    return ids;
}

std::vector<QueueId> Queue::perhaps_about(const std::string& domain, bool subdomains) const {
    std::vector<QueueId> ids = waiting_.about(domain, subdomains);
    const std::vector<QueueId> by_next_hop = waiting_.about(domain + ":25", subdomains);
    ids.insert(ids.end(), by_next_hop.begin(), by_next_hop.end());
    ids.insert(ids.end(), waiting_.unknown().begin(), waiting_.unknown().end());
    for (const auto& [id, message] : active_)
        ids.push_back(id);
    for (const auto& [id, folder] : loading_)
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
    entry.delay_pending = true;
    waiting_.add(id, std::move(entry));
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
    if (loading_.count(id) == 0 && !waiting_.release(id, now())) return false;
    forced_[id].add(scope);
    arm();
    return true;
}

}  // namespace postrider::queue_manager
