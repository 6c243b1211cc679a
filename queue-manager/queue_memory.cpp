// What the queue remembers for administrators: messages that are gone, and why destinations are down.

#include <algorithm>
#include <utility>

#include "libcommon/base/file.h"
#include "queue-manager/queue.h"

namespace postrider::queue_manager {

namespace {
// Of one message; a list of thousands of recipients must not fill the memory ten thousand times.
constexpr std::size_t kMaxEnvelopeKept = std::size_t{16} << 10;
constexpr std::size_t kMaxJournalKept = std::size_t{16} << 10;
}  // namespace

void Queue::remember(Message& message, std::string_view event) {
    if (finished_.limit() == 0) return;
    FinishedMessage gone;
    gone.id = message.id();
    gone.event = event;
    gone.time = now();
    gone.size = message.header.content_length;
    if (message.image) {
        gone.envelope = message.image->substr(message.header.envelope_offset(), kMaxEnvelopeKept);
        gone.journal = message.image_records.substr(0, kMaxJournalKept);
    }
    Fd opened;
    if (!message.file && !message.image) {
        auto file = spool_.open_readable(message.id(), message.folder);
        if (file) opened = std::move(*file);
    }
    const Fd& file = message.file ? message.file : opened;
    const std::uint64_t written =
        message.image ? message.image_records.size() : message.journal_end - message.header.journal_offset();
    gone.cut = written > kMaxJournalKept || message.header.envelope_length > kMaxEnvelopeKept;
    // As bytes of the file, which it has in its cache: two reads cost less than to serialize anew.
    if (file && message.header.envelope_length <= kMaxEnvelopeKept) {
        auto read = read_at(file, message.header.envelope_length, message.header.envelope_offset());
        if (read) gone.envelope = std::move(*read);
    }
    if (message.header.envelope_length > kMaxEnvelopeKept) {
        wire::Envelope head = message.envelope;
        head.clear_recipients();
        gone.envelope = head.SerializeAsString();
    }
    if (file && written > 0) {
        auto read =
            read_at(file, std::min<std::uint64_t>(written, kMaxJournalKept), message.header.journal_offset());
        if (read) gone.journal = std::move(*read);
    }
    std::size_t bytes = 0;
    for (const auto& record : message.unwritten) {
        bytes += record.ByteSizeLong();
        if (bytes > kMaxJournalKept) break;
        gone.unwritten.push_back(record);
    }
    gone.cut |= gone.unwritten.size() < message.unwritten.size();
    finished_.add(std::move(gone));
}

void Queue::remember_deleted(QueueId id, const Spool::History& history) {
    FinishedMessage gone;
    gone.id = id;
    gone.event = "deleted";
    gone.time = now();
    gone.size = history.size;
    wire::Envelope head = history.envelope;
    gone.cut = head.ByteSizeLong() > kMaxEnvelopeKept;
    if (gone.cut) head.clear_recipients();
    gone.envelope = head.SerializeAsString();
    std::size_t bytes = 0;
    for (const auto& record : history.records) {
        bytes += record.ByteSizeLong();
        if (bytes > kMaxJournalKept) break;
        gone.unwritten.push_back(record);
    }
    gone.cut |= gone.unwritten.size() < history.records.size();
    finished_.add(std::move(gone));
}

void Queue::note_failure(const Job& job, const std::vector<wire::DeliveryResult>& results) {
    const auto down = std::find_if(results.begin(), results.end(),
                                   [](const auto& result) { return result.destination_down(); });
    if (down == results.end()) return;
    failure_replies_[job.destination] =
        down->status().empty() ? down->text() : down->status() + " " + down->text();
}

void Queue::prune_failures() {
    std::erase_if(failure_replies_,
                  [this](const auto& entry) { return !agenda_.scheduler().knows(entry.first); });
}

std::string Queue::last_failure_reply(const DestinationKey& destination) const {
    const auto found = failure_replies_.find(destination);
    return found == failure_replies_.end() ? std::string() : found->second;
}

std::size_t Queue::count_about(const std::string& name) const {
    return agenda_.waiting().count_about(name);
}

}  // namespace postrider::queue_manager
