#include "libcommon/dns/exchangers.h"

#include <algorithm>
#include <set>
#include <utility>

namespace postrider::dns {

std::vector<PreferenceGroup> preference_groups(std::vector<Mx> records, Random& random) {
    std::erase_if(records, [](const Mx& record) { return record.exchange.empty(); });
    std::shuffle(records.begin(), records.end(), random);
    std::stable_sort(records.begin(), records.end(),
                     [](const Mx& a, const Mx& b) { return a.preference < b.preference; });
    std::vector<PreferenceGroup> groups;
    std::set<std::string> seen;
    for (const Mx& record : records) {
        if (!seen.insert(record.exchange).second) continue;
        if (groups.empty() || groups.back().preference != record.preference) {
            groups.push_back(PreferenceGroup{record.preference, {}});
        }
        groups.back().hosts.push_back(record.exchange);
    }
    return groups;
}

bool is_null_mx(const std::vector<Mx>& records) {
    return records.size() == 1 && records.front().exchange.empty();
}

Mx implicit_mx(std::string domain) {
    Mx implicit;
    implicit.exchange = std::move(domain);
    return implicit;
}

}  // namespace postrider::dns
