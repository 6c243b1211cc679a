#include "remote-delivery/preference.h"

#include <algorithm>
#include <set>

namespace postrider::remote_delivery {

std::vector<PreferenceGroup> preference_groups(std::vector<dns::Mx> records, Random& random) {
    std::erase_if(records, [](const dns::Mx& record) { return record.exchange.empty(); });
    std::shuffle(records.begin(), records.end(), random);
    std::stable_sort(records.begin(), records.end(),
                     [](const dns::Mx& a, const dns::Mx& b) { return a.preference < b.preference; });
    std::vector<PreferenceGroup> groups;
    std::set<std::string> seen;
    const dns::Mx* previous = nullptr;
    for (const dns::Mx& record : records) {
        if (!seen.insert(record.exchange).second) continue;
        if (previous == nullptr || previous->preference != record.preference) groups.emplace_back();
        groups.back().push_back(record.exchange);
        previous = &record;
    }
    return groups;
}

bool is_null_mx(const std::vector<dns::Mx>& records) {
    return records.size() == 1 && records.front().exchange.empty();
}

std::vector<config::IpAddress> interleave(std::vector<config::IpAddress> v4,
                                          std::vector<config::IpAddress> v6, Random& random) {
    std::shuffle(v4.begin(), v4.end(), random);
    std::shuffle(v6.begin(), v6.end(), random);
    std::vector<config::IpAddress> mixed;
    for (std::size_t i = 0; i < std::max(v4.size(), v6.size()); ++i) {
        if (i < v4.size()) mixed.push_back(v4[i]);
        if (i < v6.size()) mixed.push_back(v6[i]);
    }
    return mixed;
}

}  // namespace postrider::remote_delivery
