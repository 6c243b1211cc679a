// Messages in the intake journal, and how they become files.

#include <utility>

#include "libcommon/base/file.h"
#include "libcommon/log/log.h"
#include "libcommon/queue_file/journal.h"
#include "queue-manager/queue.h"

namespace postrider::queue_manager {

/// What an earlier process left in the journal becomes files. Should we be killed meanwhile, the next start
/// finds some of the files and makes the others.
Result<std::vector<QueueId>> Queue::make_files_of_journal() {
    std::vector<QueueId> made;
    auto recovered = IntakeJournal::recover(spool_.journal_folder(), spool_.key(),
                                            [&](QueueId id, const std::string& file) {
                                                auto settled = spool_.settle(id, file, false);
                                                if (!settled)
                                                    return Result<void>(failure(std::move(settled.error())));
                                                made.push_back(id);
                                                return Result<void>();
                                            });
    if (!recovered) return failure(std::move(recovered.error()));
    if (!made.empty()) {
        auto durable = spool_.sync_everything();
        if (!durable) return failure(std::move(durable.error()));
    }
    return made;
}

/// A disk that is full or cannot be written keeps its journal until it can; the rest of the queue goes on.
void Queue::recover_journal() {
    auto made = make_files_of_journal();
    if (!made) {
        log::error("cannot_recover_journal").add("reason", made.error().text);
        return;
    }
    if (!made->empty()) log::info("journal_recovered").add("messages", made->size());
    journal_recovered_ = true;
    IntakeJournal::remove_segments(spool_.journal_folder());
    // At the start nothing of the spool was read yet; later it is not read again.
    for (QueueId id : *made) {
        if (started_ && !folder_of(id)) released(id);
    }
    if (settings_.intake_journal_max == 0) return;
    constexpr std::size_t kSegments = 8;
    journal_ =
        std::make_unique<IntakeJournal>(loop_, spool_.journal_folder(), spool_.key(), spool_.sync_meter(),
                                        settings_.intake_journal_size / kSegments, kSegments);
    journal_->start();
}

Result<void> Queue::write_records(Message& message, const std::vector<wire::JournalRecord>& records) {
    if (!message.image) {
        if (!open_file(message)) return temporary("the queue file cannot be opened");
        return spool_.append_journal(message.id(), message.file, message.journal_end, records);
    }
    for (const auto& record : records) {
        auto written = journal_->append_record(message.id(), record);
        if (!written) {
            // A file can take it.
            settle(message);
            return written;
        }
        const std::uint64_t offset = message.header.journal_offset() + message.image_records.size();
        auto kept =
            queue_file::append_record(record, spool_.key(), message.id(), offset, message.image_records);
        if (!kept) return kept;
    }
    return {};
}

Result<Fd> Queue::open_readable(const Message& message) const {
    if (message.image) return sealed_memory("message", {*message.image});
    return spool_.open_readable(message.id(), message.folder);
}

void Queue::rescue_journal() {
    for (QueueId id : journal_->endangered()) {
        if (Message* message = find(id)) settle(*message);
    }
}

void Queue::settle(Message& message) {
    if (message.settling) return;
    message.settling = true;
    tasks_.spawn(settle_file(message.id()));
}

async::Task<void> Queue::settle_file(QueueId id) {
    // Not within the caller, who still works on the message.
    co_await async::next_turn(loop_);
    Message* message = find(id);
    auto bytes = std::make_shared<const std::string>(*message->image + message->image_records);
    const std::size_t written = message->image_records.size();
    std::function<Result<Fd>()> work = [spool = &spool_, id, bytes] { return spool->settle(id, *bytes); };
    auto file = co_await sync_pool_.run(std::move(work));
    // One that is becoming a file stays active.
    message = find(id);
    message->settling = false;
    Result<Fd> result = temporary("too many messages are being committed");
    if (file) result = std::move(*file);
    if (settled(*message, written, std::move(result))) {
        advance(*message);
    } else {
        set_timer(*message, now() + kRetryFault);
    }
    // Its time may have come meanwhile.
    if (on_ready_) on_ready_();
}

/// The file has the first `written` octets of the records.
bool Queue::settled(Message& message, std::size_t written, Result<Fd> file) {
    if (file && !*file) file = spool_.open_writable(message.id(), Folder::New);
    if (file) {
        const auto later = std::string_view(message.image_records).substr(written);
        auto appended = write_all_at(*file, later, message.header.journal_offset() + written);
        if (!appended) file = failure(std::move(appended.error()));
    }
    if (!file) {
        log::error("cannot_settle_message").add("id", message.id().text()).add("reason", file.error().text);
        return false;
    }
    message.journal_end = message.header.journal_offset() + message.image_records.size();
    message.file = std::move(*file);
    ++open_files_;
    message.folder = Folder::New;
    message.image.reset();
    std::string().swap(message.image_records);
    // Only now: until here a crash would find it in the journal.
    journal_->end(message.id());
    return true;
}

}  // namespace postrider::queue_manager
