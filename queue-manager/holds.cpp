#include "queue-manager/holds.h"

#include <algorithm>

namespace postrider::queue_manager {

bool Holds::holds(std::string_view domain) {
    const auto found = held_.find(domain);
    if (found != held_.end()) return found->second;
    held_.emplace(domain, true);
    return true;
}

std::vector<std::string> Holds::after(std::string_view after, std::size_t bytes) const {
    constexpr std::size_t kFraming = 4;
    std::vector<std::string> domains;
    for (auto entry = held_.upper_bound(after); entry != held_.end(); ++entry) {
        const std::size_t size = entry->first.size() + kFraming;
        if (size > bytes) break;
        bytes -= size;
        domains.push_back(entry->first);
    }
    return domains;
}

std::vector<std::string> Holds::answered(const std::vector<std::string>& asked,
                                         const std::vector<std::string>& held) {
    std::vector<std::string> released;
    for (const std::string& domain : asked) {
        const auto found = held_.find(domain);
        if (found == held_.end()) continue;
        const bool before = found->second;
        found->second = std::find(held.begin(), held.end(), domain) != held.end();
        if (before && !found->second) released.push_back(domain);
    }
    return released;
}

}  // namespace postrider::queue_manager
