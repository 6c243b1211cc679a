#include <utility>

#include "libcommon/queue_file/journal.h"
#include "queue-manager/spool.h"

namespace postrider::queue_manager {

Result<Spool::History> Spool::history(QueueId id, Folder folder) const {
    auto file = open_readable(id, folder);
    if (!file) return failure(std::move(file.error()));
    auto contents = queue_file::read_queue_file(*file, key_);
    if (!contents) return failure(std::move(contents.error()));
    History history;
    history.size = contents->header.content_length;
    history.envelope = std::move(contents->envelope);
    queue_file::JournalReader reader(*file, contents->header.journal_offset(), id, key_);
    while (true) {
        auto record = reader.next();
        if (!record) return failure(std::move(record.error()));
        if (!*record) return history;
        history.records.push_back(std::move(**record));
    }
}

}  // namespace postrider::queue_manager
