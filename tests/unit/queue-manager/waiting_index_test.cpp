#include "queue-manager/waiting_index.h"

#include <catch2/catch.hpp>

using namespace postrider;
using namespace postrider::queue_manager;

namespace {

constexpr UnixMillis kNow = 1'700'000'000'000;
QueueId message(std::uint32_t number) {
    return {kNow, number};
}

WaitingIndex::Entry entry(WaitingIndex& index, UnixMillis due, std::initializer_list<const char*> topics) {
    WaitingIndex::Entry made;
    made.due = due;
    made.known = true;
    for (const char* name : topics)
        made.topics.push_back(index.topic(name));
    return made;
}

}  // namespace

TEST_CASE("messages come out in the order of their time, then of their id") {
    WaitingIndex index;
    CHECK_FALSE(index.next_due());
    index.add(message(3), entry(index, kNow + 5, {}));
    index.add(message(2), entry(index, kNow + 9, {}));
    index.add(message(1), entry(index, kNow + 9, {}));
    CHECK(index.next_due() == kNow + 5);
    CHECK_FALSE(index.first_due(kNow + 4));
    std::vector<QueueId> order;
    while (auto id = index.first_due(kNow + 10)) {
        order.push_back(*id);
        index.take(*id);
    }
    CHECK(order == std::vector<QueueId>{message(3), message(1), message(2)});
    CHECK(index.size() == 0);
}

TEST_CASE("a message can be given another time") {
    WaitingIndex index;
    index.add(message(1), entry(index, kNow + 5, {}));
    index.set_due(message(1), kNow + 50);
    index.set_due(message(2), kNow);  // not in the index
    CHECK(index.next_due() == kNow + 50);
    CHECK(index.take(message(1))->due == kNow + 50);
    CHECK_FALSE(index.next_due());
}

TEST_CASE("messages are found by what they are about") {
    WaitingIndex index;
    index.add(message(2), entry(index, kNow, {"example.org", "relay"}));
    index.add(message(1), entry(index, kNow, {"example.org"}));
    index.add(message(3), entry(index, kNow, {"example.net"}));
    CHECK(index.about("example.org") == std::vector<QueueId>{message(1), message(2)});
    CHECK(index.about("nowhere.example").empty());
    CHECK(index.all().size() == 3);
    index.take(message(1));
    index.take(message(2));
    CHECK(index.about("example.org").empty());
    CHECK(index.about("relay").empty());
    CHECK(index.topic("example.net") == index.find(message(3))->topics[0]);
}

TEST_CASE("a message that was not read yet is known to be unknown") {
    WaitingIndex index;
    index.add(message(1), WaitingIndex::Entry());
    CHECK(index.unknown().count(message(1)) == 1);
    index.take(message(1));
    CHECK(index.unknown().empty());
}

TEST_CASE("what is parked for a next hop goes when it is up") {
    WaitingIndex index;
    auto parked = entry(index, kNow + 100, {"relay"});
    parked.parked_for = parked.topics[0];
    index.add(message(1), parked);
    index.add(message(2), entry(index, kNow + 100, {"relay"}));
    CHECK(index.release_parked("relay", kNow) == 1);
    CHECK(index.release_parked("relay", kNow) == 0);
    CHECK(index.release_parked("other", kNow) == 0);
    CHECK(index.first_due(kNow) == message(1));
    CHECK(index.find(message(2))->due == kNow + 100);
}

TEST_CASE("a hundred thousand messages are kept in order") {
    WaitingIndex index;
    constexpr std::uint32_t kMessages = 100'000;
    for (std::uint32_t i = 0; i < kMessages; ++i) {
        index.add(message(i), entry(index, kNow + (i * 7919) % kMessages, {"example.org"}));
    }
    UnixMillis last = 0;
    while (auto due = index.next_due()) {
        CHECK(*due >= last);
        last = *due;
        index.take(*index.first_due(*due));
    }
}
