#include "queue-manager/holds.h"

namespace postrider::queue_manager {

Holds::Current Holds::current(std::string_view domain, DeliverySchedule marked) {
    const auto found = domains_.find(domain);
    if (found != domains_.end()) return found->second;
    return domains_.emplace(domain, Current{marked, 0}).first->second;
}

std::vector<std::string> Holds::after(std::string_view after, std::size_t bytes) const {
    // The answer may name a domain twice, and its schedule.
    constexpr std::size_t kFraming = 24;
    std::vector<std::string> domains;
    for (auto entry = domains_.upper_bound(after); entry != domains_.end(); ++entry) {
        const std::size_t size = 2 * entry->first.size() + kFraming;
        if (size > bytes) break;
        bytes -= size;
        domains.push_back(entry->first);
    }
    return domains;
}

std::vector<std::string> Holds::answered(const std::vector<std::string>& asked, const Answer& answer,
                                         UnixMillis now) {
    std::vector<std::string> changed;
    for (const std::string& domain : asked) {
        const auto found = domains_.find(domain);
        if (found == domains_.end()) continue;
        const auto said = answer.find(domain);
        const DeliverySchedule schedule = said == answer.end() ? DeliverySchedule() : said->second;
        if (schedule == found->second.schedule) continue;
        found->second = {schedule, now};
        changed.push_back(domain);
    }
    return changed;
}

}  // namespace postrider::queue_manager
