#include "queue-manager/listing.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace postrider;
using namespace postrider::queue_manager;

TEST_CASE("the listing of a large message is split, and nothing is lost") {
    wire::QueueEntry entry;
    entry.set_queue_id("ID1");
    constexpr int kRecipients = 5000;
    for (int i = 0; i < kRecipients; ++i) {
        entry.add_recipients()->set_address("user" + std::to_string(i) + "@example.org");
    }
    int seen = 0;
    for (const auto& part : split_entry(entry)) {
        CHECK(part.ByteSizeLong() < ipc::kFrameTarget);
        CHECK(part.queue_id() == "ID1");
        seen += part.recipients_size();
    }
    CHECK(seen == kRecipients);
    entry.clear_recipients();
    CHECK(split_entry(entry).size() == 1);
}

TEST_CASE("a batch ends with its number of messages") {
    std::vector<queue_file::QueueId> ids;
    for (std::uint32_t i = 0; i < 150; ++i)
        ids.emplace_back(1, i);
    CHECK(batch_of(ids, 0) == std::vector<queue_file::QueueId>(ids.begin(), ids.begin() + 64));
    CHECK(batch_of(ids, 128) == std::vector<queue_file::QueueId>(ids.begin() + 128, ids.end()));
    CHECK(batch_of(ids, 150).empty());
    CHECK(batch_of({}, 0).empty());
}

TEST_CASE("a batch ends with the message that makes it large, and goes past those that are gone") {
    struct Case {
        std::size_t recipients;  // of each message
        std::size_t read;        // of ten, of which the second is gone
        std::size_t entries;
    };
    for (const auto& test :
         {Case{1, 10, 9}, Case{500, 10, 9}, Case{2000, 7, 6}, Case{6000, 3, 2}, Case{20'000, 1, 1}}) {
        CAPTURE(test.recipients);
        const Batch batch = read_batch(10, [&](std::size_t number) -> std::optional<wire::QueueEntry> {
            if (number == 1) return std::nullopt;
            wire::QueueEntry entry;
            entry.set_size(number);
            for (std::size_t i = 0; i < test.recipients; ++i)
                entry.add_recipients()->set_address(std::string(100, 'x'));
            return entry;
        });
        CHECK(batch.read == test.read);
        REQUIRE(batch.entries.size() == test.entries);
        CHECK(batch.entries.back().size() == test.read - 1);
    }
    CHECK(read_batch(0, [](std::size_t) { return std::nullopt; }).read == 0);
    CHECK(read_batch(3, [](std::size_t) { return std::nullopt; }).read == 3);
}
