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
    auto hinted = entry(index, kNow, {"hint"});
    hinted.known = false;
    index.add(message(1), hinted);
    index.add(message(2), WaitingIndex::Entry());
    CHECK(index.unknown() == 2);
    CHECK(index.unknown_ids(false) == std::vector<QueueId>{message(2)});
    CHECK(index.first_unknown(5) == std::vector<QueueId>{message(2), message(1)});
    CHECK(index.first_unknown(1) == std::vector<QueueId>{message(2)});
    index.take(message(1));
    index.take(message(2));
    CHECK(index.unknown() == 0);
}

TEST_CASE("what is parked for a next hop goes when it is up") {
    WaitingIndex index;
    auto parked = entry(index, kNow + 100, {"relay"});
    parked.parked_for = parked.topics[0];
    parked.parked_until = kNow + 50;
    index.add(message(1), parked);
    index.add(message(2), entry(index, kNow + 100, {"relay"}));
    CHECK(index.release_parked("relay", kNow) == 1);
    CHECK(index.release_parked("relay", kNow) == 0);
    CHECK(index.release_parked("other", kNow) == 0);
    CHECK(index.first_due(kNow) == message(1));
    CHECK(index.find(message(2))->due == kNow + 100);
}

TEST_CASE("what is parked has a time of its own and one of all") {
    WaitingIndex index;
    for (std::uint32_t i = 1; i <= 3; ++i) {
        auto parked = entry(index, kNow + 1000 * i, {"relay"});
        parked.parked_for = parked.topics[0];
        parked.parked_until = kNow + 100 * i;  // the first one decides
        index.add(message(i), parked);
    }
    const TopicNumber group = index.topic("relay");
    CHECK(index.next_due() == kNow + 100);
    CHECK_FALSE(index.first_group(kNow + 99));
    CHECK(index.first_group(kNow + 100) == group);
    CHECK(index.first_parked(group) == message(1));
    CHECK_FALSE(index.first_due(kNow + 999));
    index.park_until("relay", kNow + 500);
    CHECK(index.next_due() == kNow + 500);
    // Its own time comes all the same.
    CHECK(index.first_due(kNow + 1000) == message(1));
    index.take(message(1));
    CHECK(index.release_parked("relay", kNow + 600) == 2);
    CHECK_FALSE(index.first_group(kNow + 600));
    CHECK(index.first_due(kNow + 600) == message(2));
    index.take(message(2));
    // Down again before all were tried.
    index.park_until(group, kNow + 900);
    CHECK_FALSE(index.first_due(kNow + 899));
    CHECK(index.first_group(kNow + 900) == group);
    CHECK(index.release(message(3), kNow));
    CHECK_FALSE(index.first_group(kNow + 900));
    CHECK(index.first_due(kNow) == message(3));
}

TEST_CASE("what was tried itself goes with its group, and does not probe for it") {
    WaitingIndex index;
    auto tried = entry(index, kNow + 1000, {"relay"});
    tried.parked_for = tried.topics[0];
    index.add(message(1), tried);
    CHECK(index.next_due() == kNow + 1000);
    CHECK_FALSE(index.first_group(kNow + 1000));
    auto parked = entry(index, kNow + 900, {"relay"});
    parked.parked_for = parked.topics[0];
    parked.parked_until = kNow + 100;
    index.add(message(2), parked);
    const TopicNumber group = index.topic("relay");
    CHECK(index.first_group(kNow + 100) == group);
    CHECK(index.first_parked(group) == message(2));
    // The one that probes leaves, and nobody is left that could.
    index.take(message(2));
    CHECK_FALSE(index.first_group(kNow + 5000));
    CHECK(index.release_parked("relay", kNow + 200) == 1);
    CHECK(index.first_due(kNow + 200) == message(1));
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
