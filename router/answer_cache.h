#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <utility>

#include "libcommon/base/clock.h"
#include "router/domain_table.h"

namespace postrider::router {

/// Answers by name, each for a time of its own, and no more than a limit: then the oldest go first, because
/// strangers can make it grow with names they invent.
template <typename Answer>
class AnswerCache {
  public:
    explicit AnswerCache(std::size_t limit) : limit_(limit) {}

    /// The answer for a name, nullptr if there is none that holds at `now`. Valid until the next change.
    [[nodiscard]] const Answer* find(const std::string& name, SteadyTime now) const {
        const auto found = by_name_.find(name);
        if (found == by_name_.end() || found->second->expires <= now) return nullptr;
        return &found->second->answer;
    }

    /// Keeps an answer until `expires`, instead of what was known of the name before.
    void store(const std::string& name, Answer answer, SteadyTime expires) {
        const auto known = by_name_.find(name);
        if (known != by_name_.end()) {
            entries_.erase(known->second);
            by_name_.erase(known);
        } else if (entries_.size() >= limit_) {
            by_name_.erase(entries_.front().name);
            entries_.pop_front();
        }
        entries_.push_back(Entry{name, std::move(answer), expires});
        by_name_.emplace(name, std::prev(entries_.end()));
    }

    void clear() {
        by_name_.clear();
        entries_.clear();
    }

    [[nodiscard]] std::size_t size() const { return entries_.size(); }

  private:
    struct Entry {
        std::string name;
        Answer answer;
        SteadyTime expires;
    };

    std::size_t limit_;
    std::list<Entry> entries_;  // the oldest first
    StringMap<typename std::list<Entry>::iterator> by_name_;
};

}  // namespace postrider::router
