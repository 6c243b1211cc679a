#include "queue-manager/ready_list.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace postrider;
using namespace postrider::queue_manager;

namespace {

constexpr std::size_t kNoLimit = 1'000'000;
constexpr std::size_t kJob = 50;
constexpr std::size_t kFrame = std::size_t{48} << 10;

ReadyMessage ready(std::uint32_t id, std::uint32_t recipients) {
    ReadyMessage message{QueueId(1, id), {}};
    for (std::uint32_t i = 1; i <= recipients; ++i)
        message.deliveries.push_back({i, 100});
    return message;
}

/// The number of jobs that go before the first of message `id`; of those, `reports` counts the reports.
std::size_t jobs_before(ReadyList& list, std::uint32_t id, std::size_t& reports) {
    reports = 0;
    for (std::size_t before = 0;; ++before) {
        const ReadyList::Taken taken = list.take(kJob, kFrame);
        if (taken.message.message == QueueId(1, id)) return before;
        if (taken.report) ++reports;
    }
}

}  // namespace

TEST_CASE("how many jobs go before a message with one recipient") {
    struct Case {
        const char* name;
        std::uint32_t senders;     // others
        std::uint32_t messages;    // of each
        std::uint32_t recipients;  // of each message
        std::uint32_t own;         // messages of its own sender
        std::size_t most;          // jobs before it: (own + 1) * senders + own
    };
    for (const Case& c :
         {Case{"an empty list", 0, 0, 0, 0, 0}, Case{"one large message", 1, 1, 50'000, 0, 1},
          Case{"a sender of ten thousand", 1, 10'000, 1, 0, 1},
          Case{"a thousand senders", 1000, 10, 3, 0, 1000}, Case{"its own large message", 0, 0, 50'000, 1, 1},
          Case{"a hundred messages of its own", 0, 0, 60, 100, 100},
          Case{"both", 20, 500, 120, 3, 4 * 20 + 3}}) {
        for (const bool with_reports : {false, true}) {
            ReadyList list;
            std::uint32_t id = 1;
            for (std::uint32_t i = 0; i < c.senders; ++i) {
                for (std::uint32_t k = 0; k < c.messages; ++k)
                    REQUIRE(list.add("s" + std::to_string(i), false, ready(id++, c.recipients), kNoLimit));
            }
            for (std::uint32_t i = 0; i < c.own; ++i)
                REQUIRE(list.add("own", false, ready(id++, c.recipients), kNoLimit));
            if (with_reports) {
                for (int i = 0; i < 1000; ++i)
                    REQUIRE(list.add("", true, ready(id++, 1), kNoLimit));
            }
            REQUIRE(list.add("own", false, ready(id, 1), kNoLimit));
            std::size_t reports = 0;
            const std::size_t before = jobs_before(list, id, reports);
            INFO(c.name << (with_reports ? ", with reports" : ""));
            CHECK(before - reports <= c.most);
            CHECK(reports <= c.most / ReadyList::kMessagesPerReport + 1);
            if (!with_reports) CHECK(reports == 0);
        }
    }
}

TEST_CASE("how many jobs go before a report") {
    for (const std::uint32_t earlier : {0U, 1U, 5U}) {
        ReadyList list;
        std::uint32_t id = 1;
        for (std::uint32_t i = 0; i < 1000; ++i)
            REQUIRE(list.add("s" + std::to_string(i % 7), false, ready(id++, 1), kNoLimit));
        for (std::uint32_t i = 0; i <= earlier; ++i)
            REQUIRE(list.add("", true, ready(id++, 1), kNoLimit));
        std::size_t reports = 0;
        const std::size_t before = jobs_before(list, id - 1, reports);
        CHECK(reports == earlier);
        CHECK(before - reports == (earlier + 1) * ReadyList::kMessagesPerReport);
    }
    // And at once when there is nothing else.
    ReadyList list;
    REQUIRE(list.add("", true, ready(1, 1), kNoLimit));
    CHECK(list.take(kJob, kFrame).report);
    CHECK(list.idle());
}

TEST_CASE("every delivery is taken once, in its order, whatever is given back") {
    ReadyList list;
    REQUIRE(list.add("a", false, ready(1, 125), kNoLimit));
    REQUIRE(list.add("b", false, ready(2, 2), kNoLimit));
    const ReadyList::Taken first = list.take(kJob, kFrame);
    list.give_back(first.sender, first.report, first.message);
    std::vector<std::uint32_t> seen;
    std::vector<std::uint32_t> order;
    while (!list.empty()) {
        const ReadyList::Taken taken = list.take(kJob, kFrame);
        order.push_back(taken.message.message.random());
        if (taken.sender != "a") continue;
        for (const ReadyDelivery& delivery : taken.message.deliveries)
            seen.push_back(delivery.number);
    }
    // What was given back goes first, and then the turns go on.
    CHECK(order == std::vector<std::uint32_t>{1, 2, 1, 1});
    REQUIRE(seen.size() == 125);
    for (std::uint32_t i = 0; i < seen.size(); ++i)
        CHECK(seen[i] == i + 1);
    CHECK(list.idle());
}

TEST_CASE("a full list takes from those who have less than their share") {
    ReadyList list;
    constexpr std::size_t kLimit = 100;
    std::size_t taken = 0;
    for (std::uint32_t i = 0; i < 500; ++i)
        taken += list.add("many", false, ready(i, 1), kLimit) ? 1 : 0;
    CHECK(taken == kLimit);
    std::size_t few = 0;
    for (std::uint32_t i = 0; i < 80; ++i)
        few += list.add("few", false, ready(1000 + i, 1), kLimit) ? 1 : 0;
    CHECK(few == 50);  // half of it
    CHECK(list.add("third", false, ready(2000, 1), kLimit));
    CHECK(list.size() == kLimit + 51);

    // Of the first one's messages nobody is called while it has more than half of its share.
    std::vector<QueueId> called;
    std::size_t own = 100;
    while (called.empty()) {
        if (list.take(kJob, kFrame).sender == "many") --own;
        called = list.take_called("many", false, kLimit);
    }
    CHECK(own <= 50);
    CHECK(called.front() == QueueId(1, 100));
    // They are not called twice, unless all others have gone.
    CHECK(list.take_called("many", false, kLimit).empty());
    while (!list.empty())
        static_cast<void>(list.take(kJob, kFrame));
    CHECK_FALSE(list.take_called("many", false, kLimit).empty());
    CHECK_FALSE(list.idle());
}
