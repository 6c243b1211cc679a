#include "queue-manager/overview.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <utility>

#include "libcommon/async/sync.h"
#include "libcommon/log/log.h"
#include "libcommon/mail/ascii.h"
#include "libcommon/queue_file/journal.h"
#include "queue-manager/listing.h"

namespace postrider::queue_manager {

namespace {

using Columns = std::array<std::uint64_t, kShapeColumns>;
using Rows = std::map<std::string, Columns>;

// After so many messages the loop does something else in between.
constexpr std::size_t kTurn = 20'000;
constexpr const char* kUnread = "(not read since the start)";

wire::ShapeRow row_of(const std::string& name, const Columns& columns) {
    wire::ShapeRow row;
    row.set_name(name);
    for (std::uint64_t count : columns)
        row.add_counts(count);
    return row;
}

std::size_t column_of(QueueId id, UnixMillis now) {
    return shape_column(now > id.milliseconds() ? now - id.milliseconds() : 0);
}

std::string_view state_word(const Scheduler::State& state, UnixMillis now) {
    if (!state.down) return "up";
    return now < state.down_until ? "down" : "probe";
}

}  // namespace

std::size_t shape_column(UnixMillis age) {
    constexpr UnixMillis kFirst = 300'000;
    std::size_t column = 0;
    for (UnixMillis end = kFirst; column + 1 < kShapeColumns && age >= end; end *= 2)
        ++column;
    return column;
}

async::Task<void> Overview::destinations(QueuePeer& peer, std::uint64_t request, std::string next_hop) {
    wire::QueueReply empty;
    empty.set_id(request);
    empty.mutable_destinations();
    AnswerFrames frames(std::move(empty));
    const UnixMillis now = queue_.now();
    for (const auto& state : queue_.scheduler().states(next_hop, now)) {
        wire::DestinationState entry;
        entry.set_transport(state.key.transport);
        entry.set_next_hop(state.key.next_hop);
        entry.set_state(std::string(state_word(state, now)));
        entry.set_window(state.window);
        entry.set_in_flight(state.in_flight);
        entry.set_ready(state.ready);
        entry.set_waiting(queue_.count_about(state.key.next_hop));
        entry.set_last_failure_ms(state.last_failure);
        entry.set_last_reply(queue_.last_failure_reply(state.key));
        entry.set_next_probe_ms(state.down_until);
        entry.set_suspended(queue_.suspensions().covers(state.key.next_hop));
        wire::QueueReply& frame = frames.with_room(entry.ByteSizeLong());
        *frame.mutable_destinations()->add_destinations() = std::move(entry);
    }
    std::vector<wire::QueueReply> all = frames.take();
    static_cast<void>(co_await post_frames(loop_, peer, std::move(all)));
}

async::Task<void> Overview::shape(QueuePeer& peer, std::uint64_t request, bool senders) {
    Rows rows;
    Columns total{};
    const UnixMillis now = queue_.now();
    for (const auto& [id, message] : queue_.all_active()) {
        const std::size_t column = column_of(id, now);
        ++total[column];
        if (senders) {
            ++rows[domain_of(message->envelope.sender())][column];
            continue;
        }
        for (const std::string& name : topics_of(*message))
            ++rows[name][column];
    }
    const WaitingIndex& waiting = queue_.waiting();
    const auto count = [&](const WaitingIndex::Glance& message) {
        const std::size_t column = column_of(message.id, now);
        ++total[column];
        if (!message.known) {
            ++rows[kUnread][column];
        } else if (senders) {
            ++rows[queue_.senders().name(message.sender)][column];
        } else {
            for (TopicNumber topic : message.topics)
                ++rows[waiting.topic_name(topic)][column];
        }
    };
    std::optional<std::size_t> next = 0;
    while (true) {
        next = waiting.pass(*next, kTurn, count);
        if (!next) break;
        co_await async::next_turn(loop_);
    }
    wire::QueueReply empty;
    empty.set_id(request);
    *empty.mutable_shape()->mutable_total() = row_of("", total);
    AnswerFrames frames(std::move(empty));
    for (const auto& [name, columns] : rows) {
        wire::ShapeRow row = row_of(name, columns);
        *frames.with_room(row.ByteSizeLong()).mutable_shape()->add_rows() = std::move(row);
    }
    std::vector<wire::QueueReply> all = frames.take();
    static_cast<void>(co_await post_frames(loop_, peer, std::move(all)));
}

async::Task<Result<std::vector<wire::TraceEvent>>> Overview::events_of(QueueId id) {
    const Message* message = queue_.active(id);
    if (message != nullptr && message->image) {
        co_return trace_of(message->envelope, message->header.content_length,
                           queue_file::records_in(message->image_records));
    }
    std::vector<Folder> folders = {Folder::Hold, Folder::Failed};
    if (auto folder = queue_.folder_of(id)) folders.insert(folders.begin(), *folder);
    std::function<Result<Spool::History>()> work = [spool = &spool_, id, folders] {
        Result<Spool::History> history = permanent("no message " + id.text());
        for (Folder folder : folders) {
            history = spool->history(id, folder);
            if (history) break;
        }
        return history;
    };
    auto read = co_await queue_.read_pool().run(std::move(work));
    if (!read) co_return temporary("too many messages are being read");
    if (*read) co_return trace_of((*read)->envelope, (*read)->size, (*read)->records);
    const FinishedMessage* gone = queue_.finished().find(id);
    if (gone != nullptr) co_return trace_of(*gone);
    co_return permanent("no message " + id.text() + " is in the queue, or among those that ended last");
}

async::Task<void> Overview::trace(QueuePeer& peer, std::uint64_t request, std::string queue_id) {
    auto id = QueueId::parse(queue_id);
    if (!id) {
        peer.fail(request, id.error());
        co_return;
    }
    auto events = co_await events_of(*id);
    if (!events) {
        peer.fail(request, events.error());
        co_return;
    }
    wire::QueueReply empty;
    empty.set_id(request);
    empty.mutable_trace();
    AnswerFrames frames(std::move(empty));
    for (auto& event : *events)
        *frames.with_room(event.ByteSizeLong()).mutable_trace()->add_events() = std::move(event);
    std::vector<wire::QueueReply> all = frames.take();
    static_cast<void>(co_await post_frames(loop_, peer, std::move(all)));
}

async::Task<void> Overview::suspend(QueuePeer& peer, std::uint64_t request, wire::SuspendDomains asked) {
    std::vector<std::string> domains;
    for (const auto& domain : asked.domains()) {
        if (!can_be_suspended(domain)) {
            peer.fail(request, Error(Severity::Permanent, "that is no domain"));
            co_return;
        }
        domains.push_back(mail::to_lower(domain));
    }
    log::info(asked.resume() ? "resume" : "suspend")
        .add("domains", domains.size())
        .add("by_uid", peer.credentials().uid)
        .add("login", asked.login())
        .add("dry_run", asked.dry_run());
    std::vector<std::string> changed;
    std::map<std::string, std::size_t> waiting;
    for (const std::string& name : domains) {
        waiting[name] = queue_.count_about(name);
        if (asked.dry_run() && queue_.suspensions().covers(name) == asked.resume()) changed.push_back(name);
    }
    if (!asked.dry_run()) {
        auto done = co_await queue_.suspend(std::move(domains), asked.resume(), peer.credentials().uid);
        if (!done) {
            peer.fail(request, done.error());
            co_return;
        }
        changed = std::move(*done);
    }
    wire::QueueReply reply;
    reply.set_id(request);
    reply.mutable_suspended();
    for (const std::string& name : changed) {
        auto* entry = reply.mutable_suspended()->add_domains();
        entry->set_domain(name);
        entry->set_by(peer.credentials().uid);
        entry->set_messages(waiting[name]);
    }
    peer.reply(reply);
}

void Overview::suspended(QueuePeer& peer, std::uint64_t request) {
    wire::QueueReply empty;
    empty.set_id(request);
    empty.mutable_suspended();
    AnswerFrames frames(std::move(empty));
    for (const auto& [name, since] : queue_.suspensions().names()) {
        wire::SuspendedDomain entry;
        entry.set_domain(name);
        entry.set_since_ms(since.time);
        entry.set_by(since.by);
        entry.set_messages(queue_.count_about(name));
        *frames.with_room(entry.ByteSizeLong()).mutable_suspended()->add_domains() = std::move(entry);
    }
    for (const auto& frame : frames.take())
        peer.reply(frame);
}

}  // namespace postrider::queue_manager
