#include "queue-manager/waiting_index.h"

#include <algorithm>

namespace postrider::queue_manager {

namespace {

// Of the heap: wider than two, because comparing siblings is cheaper than one level more.
constexpr std::size_t kWidth = 4;
constexpr std::size_t kSmallestHash = 64;

}  // namespace

// ---- topics ----

TopicNumber WaitingIndex::topic(std::string_view name) {
    auto found = topic_numbers_.find(name);
    if (found != topic_numbers_.end()) return found->second;
    const TopicNumber number = topics_.make();
    topics_[number].name = name;
    topic_numbers_.emplace(topics_[number].name, number);
    return number;
}

const WaitingIndex::Topic* WaitingIndex::find_topic(std::string_view name) const {
    auto found = topic_numbers_.find(name);
    return found == topic_numbers_.end() ? nullptr : &topics_[found->second];
}

std::size_t WaitingIndex::count_about(std::string_view name) const {
    const Topic* found = find_topic(name);
    return found == nullptr ? 0 : found->count;
}

void WaitingIndex::link(Slot slot, TopicNumber topic) {
    const LinkNumber number = links_.make();
    Link& made = links_[number];
    made.topic = topic;
    made.slot = slot;
    made.next = topics_[topic].first;
    if (made.next != kNone) links_[made.next].previous = number;
    topics_[topic].first = number;
    ++topics_[topic].count;
    made.next_topic = records_[slot].links;
    records_[slot].links = number;
}

void WaitingIndex::unlink_all(Record& record) {
    for (LinkNumber number = record.links; number != kNone;) {
        const Link gone = links_[number];
        Topic& topic = topics_[gone.topic];
        (gone.previous == kNone ? topic.first : links_[gone.previous].next) = gone.next;
        if (gone.next != kNone) links_[gone.next].previous = gone.previous;
        links_.free(number);
        number = gone.next_topic;
        if (--topic.count > 0) continue;
        topic_numbers_.erase(topic.name);
        topics_.free(gone.topic);
    }
    record.links = kNone;
}

std::vector<TopicNumber> WaitingIndex::topics_of(const Record& record) const {
    std::vector<TopicNumber> topics;
    for (LinkNumber number = record.links; number != kNone; number = links_[number].next_topic)
        topics.push_back(links_[number].topic);
    // They were linked in front of each other.
    std::reverse(topics.begin(), topics.end());
    return topics;
}

// ---- the hash table ----

std::size_t WaitingIndex::hash_of(QueueId id) {
    return std::hash<QueueId>()(id);
}

/// Where the slot of `id` is in the table, or where it would be put.
std::size_t WaitingIndex::place_of(QueueId id) const {
    const std::size_t mask = hash_.size() - 1;
    std::size_t place = hash_of(id) & mask;
    while (hash_[place] != kNone && records_[hash_[place]].id() != id)
        place = (place + 1) & mask;
    return place;
}

WaitingIndex::Slot WaitingIndex::slot_of(QueueId id) const {
    return hash_.empty() ? kNone : hash_[place_of(id)];
}

void WaitingIndex::grow_hash() {
    const std::vector<Slot> old = std::move(hash_);
    hash_.assign(std::max(kSmallestHash, old.size() * 2), kNone);
    for (Slot slot : old) {
        if (slot != kNone) hash_[place_of(records_[slot].id())] = slot;
    }
}

void WaitingIndex::insert_hash(Slot slot) {
    // Three quarters full at most, so that a search is short.
    if (records_.size() * 4 > hash_.size() * 3) grow_hash();
    hash_[place_of(records_[slot].id())] = slot;
}

void WaitingIndex::erase_hash(QueueId id) {
    const std::size_t mask = hash_.size() - 1;
    std::size_t hole = place_of(id);
    // What was put behind its own place because this one was taken moves forward, or it would not be found.
    for (std::size_t place = (hole + 1) & mask; hash_[place] != kNone; place = (place + 1) & mask) {
        const std::size_t own = hash_of(records_[hash_[place]].id()) & mask;
        if (((place - own) & mask) < ((place - hole) & mask)) continue;
        hash_[hole] = hash_[place];
        hole = place;
    }
    hash_[hole] = kNone;
}

// ---- the heap ----

bool WaitingIndex::before(Slot left, Slot right) const {
    const Record& a = records_[left];
    const Record& b = records_[right];
    if (a.due != b.due) return a.due < b.due;
    if (a.milliseconds != b.milliseconds) return a.milliseconds < b.milliseconds;
    return a.random < b.random;
}

void WaitingIndex::place_in_heap(std::size_t position, Slot slot) {
    heap_[position] = slot;
    records_[slot].in_heap = static_cast<std::uint32_t>(position);
}

/// Moves what is at `position` up or down to where it belongs.
void WaitingIndex::sift(std::size_t position) {
    const Slot slot = heap_[position];
    while (position > 0) {
        const std::size_t parent = (position - 1) / kWidth;
        if (!before(slot, heap_[parent])) break;
        place_in_heap(position, heap_[parent]);
        position = parent;
    }
    while (true) {
        const std::size_t first = position * kWidth + 1;
        if (first >= heap_.size()) break;
        const std::size_t end = std::min(first + kWidth, heap_.size());
        std::size_t least = first;
        for (std::size_t child = first + 1; child < end; ++child) {
            if (before(heap_[child], heap_[least])) least = child;
        }
        if (!before(heap_[least], slot)) break;
        place_in_heap(position, heap_[least]);
        position = least;
    }
    place_in_heap(position, slot);
}

void WaitingIndex::erase_from_heap(Slot slot) {
    const std::size_t position = records_[slot].in_heap;
    const Slot last = heap_.back();
    heap_.pop_back();
    if (last == slot) return;
    place_in_heap(position, last);
    sift(position);
}

// ---- lists of records, and groups ----

void WaitingIndex::append(List& list, Slot slot) {
    Record& record = records_[slot];
    record.previous = list.last;
    record.next = kNone;
    (list.last == kNone ? list.first : records_[list.last].next) = slot;
    list.last = slot;
    ++list.count;
}

void WaitingIndex::remove(List& list, Slot slot) {
    Record& record = records_[slot];
    (record.previous == kNone ? list.first : records_[record.previous].next) = record.next;
    (record.next == kNone ? list.last : records_[record.next].previous) = record.previous;
    record.next = kNone;
    record.previous = kNone;
    --list.count;
}

void WaitingIndex::set_group(TopicNumber number, UnixMillis due, bool released) {
    Topic& topic = topics_[number];
    (topic.released ? released_groups_ : waiting_groups_).erase({topic.group_due, number});
    topic.group_due = due;
    topic.released = released;
    if (released ? topic.group_size() > 0 : topic.parked.count > 0)
        (released ? released_groups_ : waiting_groups_).emplace(due, number);
}

void WaitingIndex::park(Slot slot, TopicNumber number, UnixMillis until) {
    Topic& topic = topics_[number];
    Record& record = records_[slot];
    record.parked_for = number;
    record.tried = until == 0;
    append(record.tried ? topic.tried : topic.parked, slot);
    if (!record.tried && topic.parked.count == 1) set_group(number, until, false);
}

void WaitingIndex::unpark(Slot slot) {
    Record& record = records_[slot];
    const TopicNumber number = record.parked_for;
    if (number == kNone) return;
    Topic& topic = topics_[number];
    remove(record.tried ? topic.tried : topic.parked, slot);
    record.parked_for = kNone;
    if (topic.group_size() == 0) {
        set_group(number, 0, false);
    } else if (topic.parked.count == 0) {
        set_group(number, topic.group_due, topic.released);
    }
}

std::size_t WaitingIndex::release_parked(std::string_view next_hop, UnixMillis now) {
    auto found = topic_numbers_.find(next_hop);
    if (found == topic_numbers_.end()) return 0;
    const Topic& topic = topics_[found->second];
    if (topic.released || topic.group_size() == 0) return 0;
    set_group(found->second, now, true);
    return topic.group_size();
}

void WaitingIndex::park_until(TopicNumber topic, UnixMillis until) {
    if (topics_[topic].group_size() > 0) set_group(topic, until, false);
}

void WaitingIndex::park_until(std::string_view next_hop, UnixMillis until) {
    auto found = topic_numbers_.find(next_hop);
    if (found != topic_numbers_.end()) park_until(found->second, until);
}

std::optional<TopicNumber> WaitingIndex::first_group(UnixMillis now) const {
    if (waiting_groups_.empty() || waiting_groups_.begin()->first > now) return std::nullopt;
    return waiting_groups_.begin()->second;
}

std::optional<QueueId> WaitingIndex::first_parked(TopicNumber topic) const {
    const Topic& group = topics_[topic];
    const Slot first = group.parked.count > 0 ? group.parked.first : group.tried.first;
    if (first == kNone) return std::nullopt;
    return records_[first].id();
}

// ---- messages ----

void WaitingIndex::add(QueueId id, const Entry& entry) {
    // What a message costs that has two topics, its domain and another next hop, with hash and heap as full
    // as they can get before they grow, and half as full.
    static_assert(sizeof(Record) + 2 * sizeof(Link) + sizeof(Slot) * (8 + 6) / 3 + 2 * sizeof(Slot) <= 150);
    const Slot slot = records_.make();
    Record& record = records_[slot];
    record.milliseconds = id.milliseconds();
    record.random = id.random();
    record.due = entry.due;
    record.folder = entry.folder;
    record.known = entry.known;
    record.verify = entry.verify;
    record.forced = entry.forced;
    record.sender = entry.sender;
    insert_hash(slot);
    heap_.push_back(slot);
    sift(heap_.size() - 1);
    for (TopicNumber number : entry.topics)
        link(slot, number);
    if (!entry.known) {
        append(entry.topics.empty() ? unhinted_ : hinted_, slot);
    } else if (entry.parked_for) {
        park(slot, *entry.parked_for, entry.parked_until);
    }
}

/// Without what the record is linked to: its topics, and a group.
WaitingIndex::Entry WaitingIndex::entry_of(const Record& record) {
    Entry entry;
    entry.due = record.due;
    entry.folder = record.folder;
    entry.known = record.known;
    entry.verify = record.verify;
    entry.forced = record.forced;
    entry.sender = record.sender;
    return entry;
}

std::optional<WaitingIndex::Entry> WaitingIndex::take(QueueId id) {
    const Slot slot = slot_of(id);
    if (slot == kNone) return std::nullopt;
    Record& record = records_[slot];
    Entry entry = entry_of(record);
    if (!record.known) remove(record.links == kNone ? unhinted_ : hinted_, slot);
    unpark(slot);
    erase_hash(id);
    erase_from_heap(slot);
    unlink_all(record);
    records_.free(slot);
    return entry;
}

std::optional<WaitingIndex::Entry> WaitingIndex::find(QueueId id) const {
    const Slot slot = slot_of(id);
    if (slot == kNone) return std::nullopt;
    const Record& record = records_[slot];
    Entry entry = entry_of(record);
    entry.topics = topics_of(record);
    if (record.parked_for != kNone) {
        entry.parked_for = record.parked_for;
        if (!record.tried) entry.parked_until = topics_[record.parked_for].group_due;
    }
    return entry;
}

std::optional<Folder> WaitingIndex::folder_of(QueueId id) const {
    const Slot slot = slot_of(id);
    if (slot == kNone) return std::nullopt;
    return records_[slot].folder;
}

void WaitingIndex::set_due(QueueId id, UnixMillis due) {
    const Slot slot = slot_of(id);
    if (slot == kNone) return;
    records_[slot].due = due;
    sift(records_[slot].in_heap);
}

bool WaitingIndex::release(QueueId id, UnixMillis now, bool force) {
    const Slot slot = slot_of(id);
    if (slot == kNone) return false;
    unpark(slot);
    records_[slot].due = now;
    records_[slot].forced = records_[slot].forced || force;
    sift(records_[slot].in_heap);
    return true;
}

std::optional<UnixMillis> WaitingIndex::next_due() const {
    std::optional<UnixMillis> next;
    if (!heap_.empty()) next = records_[heap_.front()].due;
    for (const Groups* groups : {&waiting_groups_, &released_groups_}) {
        if (!groups->empty()) next = std::min(*next, groups->begin()->first);
    }
    return next;
}

std::optional<QueueId> WaitingIndex::first_due(UnixMillis now) const {
    if (heap_.empty()) return std::nullopt;
    const Record& first = records_[heap_.front()];
    if (!released_groups_.empty()) {
        const auto& [due, topic] = *released_groups_.begin();
        if (due <= now && due < first.due) return first_parked(topic);
    }
    if (first.due > now) return std::nullopt;
    return first.id();
}

// ---- listings ----

void WaitingIndex::append_about(const Topic& topic, std::vector<QueueId>& ids) const {
    for (LinkNumber number = topic.first; number != kNone; number = links_[number].next)
        ids.push_back(records_[links_[number].slot].id());
}

std::vector<QueueId> WaitingIndex::about(const std::string& name, bool subdomains) const {
    std::vector<QueueId> ids;
    const Topic* found = find_topic(name);
    if (found != nullptr) append_about(*found, ids);
    if (subdomains) {
        const std::string below = "." + name;
        for (const auto& [topic, number] : topic_numbers_) {
            if (topic.ends_with(below)) append_about(topics_[number], ids);
        }
    }
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
}

std::vector<QueueId> WaitingIndex::all() const {
    std::vector<QueueId> ids;
    ids.reserve(heap_.size());
    for (Slot slot : heap_)
        ids.push_back(records_[slot].id());
    return ids;
}

std::optional<std::size_t> WaitingIndex::pass(std::size_t from, std::size_t most,
                                              const std::function<void(const Glance&)>& show) const {
    // Slots stay where they are, so a place is a slot.
    auto slot = static_cast<Slot>(std::max<std::size_t>(from, kNone + 1));
    for (std::size_t passed = 0; slot < records_.end(); ++slot, ++passed) {
        if (passed == most) return slot;
        const Record& record = records_[slot];
        // Of one that is free it does not hold that the heap leads back to it.
        if (record.in_heap >= heap_.size() || heap_[record.in_heap] != slot) continue;
        show({record.id(), record.known, record.sender, topics_of(record)});
    }
    return std::nullopt;
}

void WaitingIndex::append_ids(const List& list, std::size_t most, std::vector<QueueId>& ids) const {
    for (Slot slot = list.first; slot != kNone && ids.size() < most; slot = records_[slot].next)
        ids.push_back(records_[slot].id());
}

std::vector<QueueId> WaitingIndex::unknown_ids(bool hinted) const {
    std::vector<QueueId> ids;
    ids.reserve(hinted ? unknown() : unhinted_.count);
    append_ids(unhinted_, unhinted_.count, ids);
    if (hinted) append_ids(hinted_, unknown(), ids);
    return ids;
}

std::vector<QueueId> WaitingIndex::first_unknown(std::size_t most) const {
    std::vector<QueueId> ids;
    append_ids(unhinted_, most, ids);
    append_ids(hinted_, most, ids);
    return ids;
}

}  // namespace postrider::queue_manager
