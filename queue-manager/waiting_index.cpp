#include "queue-manager/waiting_index.h"

#include <algorithm>

namespace postrider::queue_manager {

// The bound of the design: 250 bytes a message. An entry and its key stand in a hash node (two pointers
// more), the timer in a tree node (four words more), and each topic, of which there is mostly one, costs its
// number and an id in a hash node.
static_assert(sizeof(WaitingIndex::Entry) + 2 * sizeof(QueueId) + sizeof(std::pair<UnixMillis, QueueId>) +
                  10 * sizeof(void*) <=
              250);

TopicNumber WaitingIndex::topic(std::string_view name) {
    auto found = topic_numbers_.find(std::string(name));
    if (found != topic_numbers_.end()) return found->second;
    TopicNumber number = next_topic_++;
    topic_numbers_.emplace(name, number);
    topics_[number].name = name;
    return number;
}

void WaitingIndex::release_topic(TopicNumber number) {
    auto found = topics_.find(number);
    if (found == topics_.end() || !found->second.messages.empty()) return;
    topic_numbers_.erase(found->second.name);
    topics_.erase(found);
}

void WaitingIndex::add(QueueId id, Entry entry) {
    timers_.emplace(entry.due, id);
    if (!entry.known) unknown_.insert(id);
    for (TopicNumber number : entry.topics)
        topics_.at(number).messages.insert(id);
    entries_.emplace(id, std::move(entry));
}

std::optional<WaitingIndex::Entry> WaitingIndex::take(QueueId id) {
    auto found = entries_.find(id);
    if (found == entries_.end()) return std::nullopt;
    Entry entry = std::move(found->second);
    entries_.erase(found);
    timers_.erase({entry.due, id});
    if (!entry.known) unknown_.erase(id);
    for (TopicNumber number : entry.topics) {
        topics_.at(number).messages.erase(id);
        release_topic(number);
    }
    return entry;
}

const WaitingIndex::Entry* WaitingIndex::find(QueueId id) const {
    auto found = entries_.find(id);
    return found == entries_.end() ? nullptr : &found->second;
}

void WaitingIndex::set_due(QueueId id, UnixMillis due) {
    auto found = entries_.find(id);
    if (found == entries_.end()) return;
    timers_.erase({found->second.due, id});
    found->second.due = due;
    timers_.emplace(due, id);
}

bool WaitingIndex::release(QueueId id, UnixMillis now) {
    auto found = entries_.find(id);
    if (found == entries_.end()) return false;
    found->second.parked_for.reset();
    set_due(id, now);
    return true;
}

std::size_t WaitingIndex::release_parked(const std::string& next_hop, UnixMillis now) {
    auto number = topic_numbers_.find(next_hop);
    if (number == topic_numbers_.end()) return 0;
    std::size_t released = 0;
    for (QueueId id : topics_.at(number->second).messages) {
        Entry& entry = entries_.at(id);
        if (entry.parked_for != number->second) continue;
        entry.parked_for.reset();
        set_due(id, now);
        ++released;
    }
    return released;
}

std::optional<UnixMillis> WaitingIndex::next_due() const {
    if (timers_.empty()) return std::nullopt;
    return timers_.begin()->first;
}

std::optional<QueueId> WaitingIndex::first_due(UnixMillis now) const {
    if (timers_.empty() || timers_.begin()->first > now) return std::nullopt;
    return timers_.begin()->second;
}

std::vector<QueueId> WaitingIndex::about(const std::string& name, bool subdomains) const {
    std::vector<QueueId> ids;
    const auto add = [&](TopicNumber number) {
        const auto& messages = topics_.at(number).messages;
        ids.insert(ids.end(), messages.begin(), messages.end());
    };
    const auto found = topic_numbers_.find(name);
    if (found != topic_numbers_.end()) add(found->second);
    if (subdomains) {
        const std::string below = "." + name;
        for (const auto& [topic, number] : topic_numbers_) {
            if (topic.ends_with(below)) add(number);
        }
    }
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
}

std::size_t WaitingIndex::count_about(const std::string& name) const {
    const auto found = topic_numbers_.find(name);
    return found == topic_numbers_.end() ? 0 : topics_.at(found->second).messages.size();
}

std::vector<TopicNumber> WaitingIndex::topics() const {
    std::vector<TopicNumber> numbers;
    for (const auto& [number, topic] : topics_)
        numbers.push_back(number);
    return numbers;
}

const std::unordered_set<QueueId>* WaitingIndex::about(TopicNumber topic) const {
    const auto found = topics_.find(topic);
    return found == topics_.end() ? nullptr : &found->second.messages;
}

std::vector<QueueId> WaitingIndex::all() const {
    std::vector<QueueId> ids;
    ids.reserve(entries_.size());
    for (const auto& [id, entry] : entries_)
        ids.push_back(id);
    std::sort(ids.begin(), ids.end());
    return ids;
}

}  // namespace postrider::queue_manager
