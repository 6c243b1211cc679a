#include "router/rate_window.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace postrider::router {

void RateWindow::set_rate(std::optional<config::Rate> rate) {
    if (!rate || !rate_ || rate->period != rate_->period) {
        by_name_.clear();
        entries_.clear();
    }
    rate_ = rate;
}

std::int64_t RateWindow::slot_of(SteadyTime now) const {
    const auto period = std::chrono::duration_cast<std::chrono::nanoseconds>(rate_->period).count();
    const auto length = period / static_cast<std::int64_t>(kSlots - 1);
    return std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count() / length;
}

/// Empties the slots that time has passed since the newest one.
void RateWindow::advance(Entry& entry, std::int64_t slot) {
    const auto passed = static_cast<std::size_t>(std::max<std::int64_t>(0, slot - entry.newest));
    for (std::size_t i = 1; i <= std::min(passed, kSlots); ++i)
        entry.counts[(static_cast<std::size_t>(entry.newest) + i) % kSlots] = 0;
    entry.newest = std::max(entry.newest, slot);
}

bool RateWindow::has_room(std::string_view name, SteadyTime now) {
    if (!rate_) return true;
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) return rate_->count > 0;
    Entry& entry = *found->second;
    advance(entry, slot_of(now));
    return std::accumulate(entry.counts.begin(), entry.counts.end(), std::uint64_t{0}) < rate_->count;
}

void RateWindow::count(std::string_view name, SteadyTime now) {
    if (!rate_) return;
    const std::int64_t slot = slot_of(now);
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) {
        if (entries_.size() >= most_names_) {
            by_name_.erase(entries_.back().name);
            entries_.pop_back();
        }
        entries_.push_front(Entry{std::string(name), slot, {}});
        by_name_.emplace(entries_.front().name, entries_.begin());
    } else {
        entries_.splice(entries_.begin(), entries_, found->second);
    }
    Entry& entry = entries_.front();
    advance(entry, slot);
    std::uint32_t& counted = entry.counts[static_cast<std::size_t>(entry.newest) % kSlots];
    if (counted < std::numeric_limits<std::uint32_t>::max()) ++counted;
}

}  // namespace postrider::router
