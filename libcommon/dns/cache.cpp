#include "libcommon/dns/cache.h"

#include <algorithm>

namespace postrider::dns {

std::string Cache::key_of(std::string_view name, Type type) {
    // No canonical name contains a blank, so name and type cannot run into each other.
    std::string key(type_name(type));
    key += ' ';
    key += name;
    return key;
}

const Answer* Cache::find(std::string_view name, Type type, SteadyTime now) {
    auto found = index_.find(key_of(name, type));
    if (found == index_.end()) return nullptr;
    auto entry = found->second;
    if (entry->expires <= now) {
        index_.erase(found);
        entries_.erase(entry);
        return nullptr;
    }
    entries_.splice(entries_.begin(), entries_, entry);
    return &entry->answer;
}

void Cache::store(std::string_view name, Type type, Answer answer, Seconds ttl, SteadyTime now) {
    Seconds kept = std::min(ttl, longest_);
    std::string key = key_of(name, type);
    if (auto old = index_.find(key); old != index_.end()) {
        auto entry = old->second;
        index_.erase(old);  // before the entry, whose key it looks at
        entries_.erase(entry);
    }
    if (kept <= Seconds(0) || capacity_ == 0) return;
    while (entries_.size() >= capacity_) {
        index_.erase(entries_.back().key);
        entries_.pop_back();
    }
    entries_.push_front(Entry{std::move(key), std::move(answer), now + kept});
    index_.emplace(entries_.front().key, entries_.begin());
}

}  // namespace postrider::dns
