#include "router/rate_window.h"

#include <algorithm>
#include <limits>

namespace postrider::router {

void RateWindow::set_most_names(std::size_t most_names) {
    most_names_ = most_names;
    while (entries_.size() > most_names_)
        forget_oldest();
}

void RateWindow::forget_oldest() {
    by_name_.erase(entries_.back().name);
    entries_.pop_back();
}

std::int64_t RateWindow::slot_of(Milliseconds period, SteadyTime now) {
    const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(period).count();
    const auto length = nanoseconds / static_cast<std::int64_t>(kSlots - 1);
    return std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count() / length;
}

/// What stands in the slots that time has not yet passed.
std::uint64_t RateWindow::sum(const Entry& entry, SteadyTime now) {
    const std::int64_t passed = std::max<std::int64_t>(0, slot_of(entry.period, now) - entry.newest);
    std::uint64_t total = 0;
    for (std::size_t age = 0; static_cast<std::int64_t>(age) + passed < static_cast<std::int64_t>(kSlots);
         ++age)
        total += entry.counts[(static_cast<std::size_t>(entry.newest) % kSlots + kSlots - age) % kSlots];
    return total;
}

/// Empties the slots that time has passed since the newest one.
void RateWindow::advance(Entry& entry, std::int64_t slot) {
    const auto passed = static_cast<std::size_t>(std::max<std::int64_t>(0, slot - entry.newest));
    for (std::size_t i = 1; i <= std::min(passed, kSlots); ++i)
        entry.counts[(static_cast<std::size_t>(entry.newest) + i) % kSlots] = 0;
    entry.newest = std::max(entry.newest, slot);
}

std::uint64_t RateWindow::used(std::string_view name, Milliseconds period, SteadyTime now) const {
    const auto found = by_name_.find(name);
    if (found == by_name_.end() || found->second->period != period) return 0;
    return sum(*found->second, now);
}

void RateWindow::count(std::string_view name, Milliseconds period, SteadyTime now) {
    const std::int64_t slot = slot_of(period, now);
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) {
        if (entries_.size() >= most_names_) forget_oldest();
        entries_.push_front(Entry{std::string(name), period, slot, {}});
        by_name_.emplace(entries_.front().name, entries_.begin());
    } else {
        entries_.splice(entries_.begin(), entries_, found->second);
    }
    Entry& entry = entries_.front();
    if (entry.period != period) entry = Entry{std::move(entry.name), period, slot, {}};
    advance(entry, slot);
    std::uint32_t& counted = entry.counts[static_cast<std::size_t>(entry.newest) % kSlots];
    if (counted < std::numeric_limits<std::uint32_t>::max()) ++counted;
}

void RateWindow::for_each(
    SteadyTime now, const std::function<void(const std::string& name, std::uint64_t used)>& take) const {
    for (const Entry& entry : entries_) {
        if (const std::uint64_t total = sum(entry, now); total > 0) take(entry.name, total);
    }
}

}  // namespace postrider::router
