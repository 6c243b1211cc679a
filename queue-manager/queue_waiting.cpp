// Messages that wait on disk: for a destination that is down, and until it is known what they are about.

#include <algorithm>
#include <memory>
#include <utility>

#include "libcommon/log/log.h"
#include "queue-manager/queue.h"
#include "queue-manager/topic_hint.h"

namespace postrider::queue_manager {

namespace {

/// How messages that are not known are read: so many at a time, with a pause between, which is longer when
/// the disk is slow. Warm that is 3,000 a second, for a tenth of a processor.
constexpr std::size_t kUnknownAtOnce = 32;
constexpr Milliseconds kUnknownPause{10};
constexpr int kUnknownShare = 4;  // a quarter of the time at most

/// A message as its file has it, for what it is about; without one if the file cannot be read.
using Read = std::vector<std::pair<QueueId, std::unique_ptr<Message>>>;

}  // namespace

// ---- at the start ----

Result<void> Queue::scan_spool() {
    std::vector<Spool::Found> all;
    auto scanned = spool_.scan([&all](const Spool::Found& found) { all.push_back(found); });
    if (!scanned) return scanned;
    // In this order they are read later: files made one after the other are near each other on the disk.
    std::sort(all.begin(), all.end(), [](const auto& left, const auto& right) { return left.id < right.id; });
    WaitingIndex& waiting = agenda_.waiting();
    for (const auto& found : all) {
        WaitingIndex::Entry entry;
        entry.due = found.due;
        entry.folder = found.folder;
        // This process did not commit it, so a crash may have interrupted that.
        entry.verify = found.folder == Folder::New;
        for (const auto& name : names_of_hint(found.hint))
            entry.topics.push_back(waiting.topic(name));
        waiting.add(found.id, entry);
    }
    return {};
}

// ---- for a destination that is down ----

std::optional<Agenda::Only> Queue::only_destination(const Message& message) const {
    // What waits for a time of its own does not come back when its host does.
    const auto next_hop = message.holds_something() ? std::nullopt : only_next_hop(message);
    if (!next_hop) return std::nullopt;
    Agenda::Only only{*next_hop, kNever};
    const auto consider = [&only, time = now()](UnixMillis at) {
        if (at > time) only.own_due = std::min(only.own_due, at);
    };
    consider(delay_report_due(message).value_or(kNever));
    for (const auto& delivery : message.deliveries) {
        if (delivery.ended()) continue;
        const UnixMillis end = end_of(settings_, message, delivery.delivery);
        consider(end);
        consider(agenda_.hard_end(end));
    }
    return only;
}

void Queue::park(Message& message, ActiveDelivery& delivery, UnixMillis until) {
    auto postponement =
        agenda_.postpone({until}, times_of(settings_, message, delivery), delivery.destination(), now());
    // Its time is over: it is offered once more, and given up.
    if (postponement.given_up) postponement.due = now();
    postpone(message, delivery, postponement, false);
}

void Queue::park_later(const Agenda::Ended& ended) {
    to_park_.insert(to_park_.end(), ended.parked.begin(), ended.parked.end());
    park_some();
}

void Queue::park_some() {
    for (std::size_t step = 0; step < Agenda::kStep && !to_park_.empty(); ++step) {
        const ReadyMessage parked = std::move(to_park_.front());
        to_park_.pop_front();
        Message* message = find(parked.message);
        if (message == nullptr) continue;
        for (const auto& ready : parked.deliveries) {
            ActiveDelivery* delivery = message->find(ready.number);
            if (delivery == nullptr || delivery->phase != Phase::Ready) continue;
            // A flush may have forgiven the destination meanwhile.
            const auto until = agenda_.scheduler().refused_until(delivery->destination(), now());
            park(*message, *delivery, until.value_or(now()));
        }
        advance(*message);
    }
}

// ---- that are not known ----

std::vector<QueueId> Queue::waiting_perhaps_about(const std::string& name, bool subdomains) const {
    std::vector<QueueId> ids = waiting().about(name, subdomains);
    const auto add = [&ids](const std::vector<QueueId>& more) {
        ids.insert(ids.end(), more.begin(), more.end());
    };
    // A hint says which name it may be, but not what that is below of.
    add(waiting().unknown_ids(subdomains));
    if (subdomains) return ids;
    for (const auto& hinted : hinted_names(name))
        add(waiting().about(hinted));
    return ids;
}

/// Reads some of the messages of which is not known what they are about, if nothing else is to be read.
async::Task<void> Queue::read_unknown() {
    const UnixMillis begun = now();
    std::vector<std::pair<QueueId, Folder>> files;
    if (agenda_.loading().empty()) {
        for (QueueId id : waiting().first_unknown(kUnknownAtOnce))
            files.emplace_back(id, *waiting().folder_of(id));
    }
    if (!files.empty()) {
        std::function<Read()> work = [spool = &spool_, files = std::move(files)] {
            Read all;
            for (const auto& [id, folder] : files) {
                auto loaded = spool->load(id, folder, false);
                all.emplace_back(id, nullptr);
                if (!loaded) continue;
                all.back().second =
                    std::make_unique<Message>(std::move(loaded->contents), folder, std::move(loaded->file));
            }
            return all;
        };
        auto read = co_await read_pool_.run(std::move(work));
        if (read) {
            for (const auto& [id, message] : *read)
                learn(id, message.get());
        }
    }
    if (stopped_) co_return;
    if (waiting().unknown() == 0) {
        log::info("queue_known").add("messages", waiting().size());
        co_return;
    }
    const UnixMillis taken = now() - std::min(now(), begun);
    unknown_timer_.arm(std::max(kUnknownPause, Milliseconds(taken * (kUnknownShare - 1))));
}

void Queue::learn(QueueId id, const Message* read) {
    // It may have become active meanwhile, and be back.
    const auto found = waiting().find(id);
    if (!found || found->known) return;
    WaitingIndex::Entry entry = *agenda_.waiting().take(id);
    if (read != nullptr) {
        WaitingIndex::Entry known = entry_for(*read, entry.due);
        known.folder = entry.folder;
        known.verify = entry.verify;
        known.forced = entry.forced;
        entry = std::move(known);
    }
    // What cannot be read is found when it is due, and dealt with then.
    entry.known = true;
    agenda_.waiting().add(id, entry);
}

}  // namespace postrider::queue_manager
