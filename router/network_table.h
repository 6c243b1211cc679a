#pragma once

#include <algorithm>
#include <functional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "libcommon/config/network.h"

namespace postrider::router {

/// What a table says about client addresses: the longest prefix wins. One hash look-up for each prefix length
/// that occurs in the table, which is a handful in any real one, no matter how many networks there are.
template <typename T>
class NetworkTable {
  public:
    /// Adds a line. Returns nullptr, or the value of the line for the same network, in which case nothing is
    /// added. The pointer is valid until the next add().
    const T* add(const config::Network& network, T value) {
        Level& level = level_for(network);
        auto [place, added] = level.networks.try_emplace(network.address(), std::move(value));
        return added ? nullptr : &place->second;
    }

    /// The value of the most specific network that contains `address`, or nullptr. The pointer lives as long
    /// as the table.
    [[nodiscard]] const T* find(const config::IpAddress& address) const {
        for (const Level& level : address.is_v4() ? v4_ : v6_) {
            auto found = level.networks.find(address.masked(level.prefix));
            if (found != level.networks.end()) return &found->second;
        }
        return nullptr;
    }

  private:
    struct AddressHash {
        std::size_t operator()(const config::IpAddress& address) const {
            return std::hash<std::string_view>{}(address.bytes());
        }
    };
    /// All networks of one prefix length.
    struct Level {
        unsigned prefix = 0;
        std::unordered_map<config::IpAddress, T, AddressHash> networks;
    };

    Level& level_for(const config::Network& network) {
        std::vector<Level>& levels = network.address().is_v4() ? v4_ : v6_;
        auto place = std::find_if(levels.begin(), levels.end(),
                                  [&](const Level& level) { return level.prefix <= network.prefix(); });
        if (place == levels.end() || place->prefix != network.prefix()) {
            place = levels.insert(place, Level{network.prefix(), {}});
        }
        return *place;
    }

    std::vector<Level> v4_;  // longest prefix first
    std::vector<Level> v6_;
};

}  // namespace postrider::router
