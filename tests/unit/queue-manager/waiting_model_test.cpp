// The index of waiting messages against a model that is simple enough to be right: everything in one map, and
// every question answered by looking at all of it.

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "queue-manager/waiting_index.h"

using namespace postrider;
using namespace postrider::queue_manager;

namespace {

constexpr UnixMillis kTimes = 1000;
const std::vector<std::string> kNames = {"a.example", "b.example", "x.a.example", "relay", "other"};

struct Modelled {
    UnixMillis due = 0;
    bool known = false;
    bool forced = false;
    std::uint32_t sender = 0;
    std::set<std::string> topics;
    std::string parked_for;
    bool tried = false;  // it does not probe
};

struct ModelGroup {
    UnixMillis due = 0;
    bool released = false;
};

struct Model {
    std::map<QueueId, Modelled> messages;
    std::map<std::string, ModelGroup> groups;

    void unpark(QueueId id) {
        const std::string group = std::exchange(messages.at(id).parked_for, "");
        if (!group.empty() && parked(group) == 0) groups.erase(group);
    }
    [[nodiscard]] std::size_t parked(const std::string& group, bool that_probe = false) const {
        return static_cast<std::size_t>(std::count_if(messages.begin(), messages.end(), [&](const auto& one) {
            return one.second.parked_for == group && !(that_probe && one.second.tried);
        }));
    }
    /// Whether the time of a group means something: it is released, or somebody can probe.
    [[nodiscard]] bool has_time(const std::string& name, const ModelGroup& group) const {
        return group.released || parked(name, true) > 0;
    }
    [[nodiscard]] std::optional<UnixMillis> next_due() const {
        std::optional<UnixMillis> next;
        for (const auto& [id, message] : messages)
            next = std::min(next.value_or(message.due), message.due);
        for (const auto& [name, group] : groups) {
            if (has_time(name, group)) next = std::min(*next, group.due);
        }
        return next;
    }
    /// Those that may come next: the first in the heap, or any of the released group that is earlier.
    [[nodiscard]] std::set<QueueId> first_due(UnixMillis now) const {
        std::optional<std::pair<UnixMillis, QueueId>> first;
        for (const auto& [id, message] : messages) {
            const auto key = std::pair(message.due, id);
            if (message.due <= now) first = std::min(first.value_or(key), key);
        }
        std::optional<UnixMillis> released;
        for (const auto& [name, group] : groups) {
            if (group.released && group.due <= now)
                released = std::min(released.value_or(group.due), group.due);
        }
        std::set<QueueId> ids;
        if (released && (!first || *released < first->first)) {
            for (const auto& [id, message] : messages) {
                const auto group = groups.find(message.parked_for);
                if (group != groups.end() && group->second.released && group->second.due == *released)
                    ids.insert(id);
            }
        } else if (first) {
            ids.insert(first->second);
        }
        return ids;
    }
    [[nodiscard]] std::vector<QueueId> about(const std::string& name, bool subdomains) const {
        std::vector<QueueId> ids;
        for (const auto& [id, message] : messages) {
            const bool has =
                std::any_of(message.topics.begin(), message.topics.end(), [&](const std::string& topic) {
                    return topic == name || (subdomains && topic.ends_with("." + name));
                });
            if (has) ids.push_back(id);
        }
        return ids;
    }
};

/// Does the same to both, by chance, and compares all that can be asked.
class Trial {
  public:
    explicit Trial(unsigned seed) : random_(seed) {}

    void step() {
        const QueueId id(kTimes, below(40));
        const UnixMillis time = below(kTimes);
        const std::string& name = kNames[below(kNames.size())];
        switch (below(8)) {
            case 0:
            case 1:
                if (model_.messages.count(id) == 0) add(id);
                break;
            case 2:
                take(id);
                break;
            case 3:
                index_.set_due(id, time);
                if (model_.messages.count(id) > 0) model_.messages.at(id).due = time;
                break;
            case 4:
                release(id, time);
                break;
            case 5:
                release_parked(name, time);
                break;
            case 6:
                index_.park_until(name, time);
                if (model_.groups.count(name) > 0) model_.groups.at(name) = ModelGroup{time, false};
                break;
            default:
                take_due(time);
                break;
        }
        compare(time);
    }

  private:
    std::uint32_t below(std::size_t end) {
        return static_cast<std::uint32_t>(std::uniform_int_distribution<std::size_t>(0, end - 1)(random_));
    }

    void add(QueueId id) {
        Modelled made;
        made.due = below(kTimes);
        made.known = below(4) > 0;
        made.forced = below(4) == 0;
        for (const auto& name : kNames) {
            if (below(3) == 0) made.topics.insert(name);
        }
        WaitingIndex::Entry entry;
        entry.due = made.due;
        entry.known = made.known;
        entry.forced = made.forced;
        entry.sender = made.sender = below(100);
        for (const auto& name : made.topics)
            entry.topics.push_back(index_.topic(name));
        if (made.known && !made.topics.empty() && below(2) == 0) {
            made.parked_for = *made.topics.begin();
            entry.parked_for = entry.topics.front();
            made.tried = below(3) == 0;
            entry.parked_until = made.tried ? 0 : 1 + below(kTimes);
            // The first that can probe gives the group its time.
            ModelGroup& group = model_.groups[made.parked_for];
            if (!made.tried && model_.parked(made.parked_for, true) == 0) group = {entry.parked_until, false};
        }
        index_.add(id, entry);
        model_.messages.emplace(id, made);
    }

    void take(QueueId id) {
        const auto taken = index_.take(id);
        REQUIRE(taken.has_value() == (model_.messages.count(id) > 0));
        if (!taken) return;
        CHECK(taken->due == model_.messages.at(id).due);
        CHECK(taken->forced == model_.messages.at(id).forced);
        model_.unpark(id);
        model_.messages.erase(id);
    }

    void release(QueueId id, UnixMillis time) {
        const bool force = below(2) == 0;
        const bool there = model_.messages.count(id) > 0;
        REQUIRE(index_.release(id, time, force) == there);
        if (!there) return;
        model_.unpark(id);
        model_.messages.at(id).due = time;
        model_.messages.at(id).forced |= force;
    }

    void release_parked(const std::string& name, UnixMillis time) {
        const auto group = model_.groups.find(name);
        const bool there = group != model_.groups.end() && !group->second.released;
        CHECK(index_.release_parked(name, time) == (there ? model_.parked(name) : 0));
        if (there) group->second = ModelGroup{time, true};
    }

    void take_due(UnixMillis now) {
        const auto due = index_.first_due(now);
        const std::set<QueueId> expected = model_.first_due(now);
        REQUIRE(due.has_value() == !expected.empty());
        if (!due) return;
        CHECK(expected.count(*due) == 1);
        take(*due);
    }

    void compare(UnixMillis now) {
        CHECK(index_.size() == model_.messages.size());
        CHECK(index_.next_due() == model_.next_due());
        for (const auto& name : kNames) {
            CHECK(index_.about(name) == model_.about(name, false));
            CHECK(index_.about(name, true) == model_.about(name, true));
            CHECK(index_.count_about(name) == model_.about(name, false).size());
        }
        std::vector<QueueId> all = index_.all();
        std::sort(all.begin(), all.end());
        std::size_t unknown = 0;
        std::size_t place = 0;
        for (const auto& [id, message] : model_.messages) {
            REQUIRE(all.at(place++) == id);
            if (!message.known) ++unknown;
            const auto entry = index_.find(id);
            REQUIRE(entry);
            CHECK(entry->known == message.known);
            REQUIRE(entry->parked_for.has_value() == !message.parked_for.empty());
            if (entry->parked_for) CHECK(index_.topic_name(*entry->parked_for) == message.parked_for);
        }
        CHECK(index_.unknown() == unknown);
        CHECK(index_.unknown_ids(true).size() == unknown);
        const auto group = index_.first_group(now);
        const bool some = std::any_of(model_.groups.begin(), model_.groups.end(), [&](const auto& one) {
            return !one.second.released && one.second.due <= now && model_.has_time(one.first, one.second);
        });
        CHECK(group.has_value() == some);
        if (group) {
            const Modelled& first = model_.messages.at(*index_.first_parked(*group));
            CHECK(first.parked_for == index_.topic_name(*group));
            CHECK_FALSE(first.tried);
        }
        compare_passed();
    }

    /// By parts, each message is passed once.
    void compare_passed() {
        std::set<QueueId> passed;
        std::optional<std::size_t> place = 0;
        while (place) {
            place = index_.pass(*place, 7, [&](const WaitingIndex::Glance& message) {
                CHECK(passed.insert(message.id).second);
                const Modelled& expected = model_.messages.at(message.id);
                CHECK(message.known == expected.known);
                CHECK(message.sender == expected.sender);
                CHECK(message.topics.size() == expected.topics.size());
            });
        }
        CHECK(passed.size() == model_.messages.size());
    }

    std::minstd_rand random_;
    WaitingIndex index_;
    Model model_;
};

}  // namespace

TEST_CASE("whatever is done to the index, it is as a simple model says") {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        INFO("seed " << seed);
        Trial trial(seed);
        for (int i = 0; i < 1000; ++i)
            trial.step();
    }
}
