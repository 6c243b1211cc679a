#include "remote-delivery/preference.h"

#include <algorithm>

namespace postrider::remote_delivery {

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
