// What a router that is broken may answer: any frames. Whatever they say, each recipient that was asked about
// ends with deliveries, or stays to be asked again; what is planned can be written into a journal and read
// back, and no delivery is lost or has a number twice.
//
// The first octet is the number of recipients, and its highest bit says whether the message is past its time.

#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>

#include "libcommon/ipc/router.pb.h"
#include "queue-manager/message.h"
#include "queue-manager/outcome.h"
#include "queue-manager/resolver.h"
#include "tests/fuzz/frame_list.h"

using namespace postrider;
using namespace postrider::queue_manager;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

/// The journal that `plan` writes, as the next start would read it.
queue_file::JournalState replay(const std::vector<wire::JournalRecord>& records, std::size_t recipients) {
    const queue_file::JournalKey key = queue_file::JournalKey::make();
    queue_file::JournalState state(recipients);
    std::string bytes;
    for (const auto& record : records) {
        require(queue_file::append_record(record, key, queue_file::QueueId(1, 1), bytes.size(), bytes)
                    .has_value());
        state.apply(record);
    }
    return state;
}

void check_numbers(const Message& message) {
    std::set<std::uint32_t> numbers;
    for (const auto& delivery : message.deliveries) {
        require(numbers.insert(delivery.delivery.number()).second);
        require(delivery.delivery.number() < message.next_number);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::uint8_t kMaxRecipients = 8;
    constexpr std::uint8_t kExpired = 0x80;
    if (size == 0) return 0;
    const std::size_t recipients = 1 + data[0] % kMaxRecipients;
    Settings settings;
    wire::Envelope envelope;
    envelope.set_sender("sender@example.test");
    envelope.set_arrival_ms(1);
    for (std::size_t i = 0; i < recipients; ++i)
        envelope.add_recipients()->set_address("user@example.test");
    Message message({}, envelope, Fd());
    const UnixMillis now = (data[0] & kExpired) != 0 ? kNever / 2 : 2;

    std::vector<wire::RouterReply> replies;
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    for (const std::string_view frame : fuzz::frames_of(input)) {
        wire::RouterReply reply;
        if (reply.ParseFromArray(frame.data(), static_cast<int>(frame.size())))
            replies.push_back(std::move(reply));
    }
    std::vector<const wire::Resolved*> frames;
    frames.reserve(replies.size());
    for (const auto& reply : replies)
        frames.push_back(&reply.resolved());

    const std::vector<std::uint32_t> asked = message.unresolved;
    auto plan = plan_resolution(settings, message, asked, merge_answers(recipients, frames), now);
    const auto journal = replay(plan.records, recipients);
    for (const std::uint32_t index : plan.recipients)
        require(journal.resolved(index));
    require(journal.deliveries().size() == plan.deliveries.size());
    const bool undecided = !plan.error.empty();
    apply_resolution(message, std::move(plan));
    check_numbers(message);
    require(message.unresolved.empty() != undecided);
    if (message.deliveries.empty()) return 0;

    // The same answer, for the first of them once its forward file was read.
    auto& first = message.deliveries.front();
    message.set_phase(first, Phase::Expanding);
    auto again = merge_answers(1, frames);
    auto expansion = plan_expansion(settings, message, first, std::move(again.front()), now);
    static_cast<void>(replay(expansion.records, recipients));
    require(expansion.error.empty() || expansion.deliveries.empty());
    apply_resolution(message, std::move(expansion));
    check_numbers(message);
    return 0;
}
