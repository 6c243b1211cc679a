// A journal of any records, which bear a valid tag: whoever could write them, reading back gives what
// applying them one after the other gives, and a message made of it is one that the queue-manager can work
// with. What is cut off at any octet is read up to the last whole record.
//
// The first octet is the number of recipients, the second one where the file is cut; the rest are records.

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "libcommon/base/file.h"
#include "queue-manager/admin.h"
#include "queue-manager/message.h"
#include "tests/fuzz/frame_list.h"

using namespace postrider;

namespace {

void require(bool condition, int line = __builtin_LINE()) {
    if (condition) return;
    std::fprintf(stderr, "not so: line %d\n", line);
    std::abort();
}

wire::Envelope envelope_for(std::size_t recipients) {
    wire::Envelope envelope;
    envelope.set_sender("sender@example.test");
    for (std::size_t i = 0; i < recipients; ++i)
        envelope.add_recipients()->set_address("user@example.test");
    return envelope;
}

bool same(const queue_file::JournalState& left, const queue_file::JournalState& right) {
    if (left.next_number() != right.next_number() || left.attempts() != right.attempts()) return false;
    if (left.finished() != right.finished() || left.deliveries().size() != right.deliveries().size())
        return false;
    for (auto one = left.deliveries().begin(), other = right.deliveries().begin();
         one != left.deliveries().end(); ++one, ++other) {
        if (one->first != other->first || one->second.phase != other->second.phase) return false;
    }
    return true;
}

/// What the rest of the suite does with a message that was read.
void use(queue_file::QueueFile contents) {
    const bool was_finished = contents.journal.finished();
    const std::uint32_t next = contents.journal.next_number();
    queue_manager::Message message(std::move(contents), queue_manager::Folder::Cur, Fd());
    std::uint32_t last = 0;
    for (const auto& delivery : message.deliveries) {
        require(delivery.delivery.number() > last || last == 0);
        last = delivery.delivery.number();
        require(last < next);
        require(message.find(last) == &delivery);
    }
    if (message.finished()) require(was_finished);
    static_cast<void>(message.next_due());
    static_cast<void>(message.is_held());
    static_cast<void>(message.unsaid(true));
    static_cast<void>(queue_manager::topics_of(message));
    static_cast<void>(queue_manager::only_next_hop(message));
    static_cast<void>(queue_manager::entry_of(message));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::size_t kFirst = 2;
    constexpr std::size_t kMaxRecipients = 8;
    if (size < kFirst) return 0;
    static const Fd file(::memfd_create("fuzz", MFD_CLOEXEC));
    static const queue_file::JournalKey key = queue_file::JournalKey::make();
    const queue_file::QueueId id(1, 1);
    const std::size_t recipients = 1 + data[0] % kMaxRecipients;

    auto beginning = queue_file::encode_beginning(id, envelope_for(recipients));
    std::string bytes = beginning->bytes;
    bytes.replace(0, queue_file::Header::kSize,
                  queue_file::complete_header(beginning->header, 0, queue_file::content_hash("")));
    const std::size_t journal_at = bytes.size();
    queue_file::JournalState expected(recipients);
    std::size_t whole = journal_at;
    const std::string_view input(reinterpret_cast<const char*>(data) + kFirst, size - kFirst);
    for (const std::string_view frame : fuzz::frames_of(input)) {
        wire::JournalRecord record;
        if (!record.ParseFromArray(frame.data(), static_cast<int>(frame.size()))) continue;
        // An empty record says nothing, and reads as the end.
        if (record.ByteSizeLong() == 0) continue;
        if (!queue_file::append_record(record, key, id, bytes.size(), bytes)) continue;
        whole = bytes.size();
        expected.apply(record);
    }
    const auto write = [&](std::size_t length) {
        require(::ftruncate(file.get(), 0) == 0);
        require(write_all_at(file, std::string_view(bytes).substr(0, length), 0).has_value());
    };
    write(bytes.size());
    auto contents = queue_file::read_queue_file(file, key);
    require(contents.has_value());
    require(contents->journal_end == whole);
    require(same(contents->journal, expected));
    use(std::move(*contents));

    // A power cut: any part of it may be missing at the end.
    write(journal_at + (bytes.size() - journal_at) * data[1] / 256);
    contents = queue_file::read_queue_file(file, key);
    require(contents.has_value());
    use(std::move(*contents));
    return 0;
}
