#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace postrider::fuzz {

/// The frames that an input is taken for: each is its length, two octets with the lower one first, and as
/// many octets as that, or as there are.
inline std::vector<std::string_view> frames_of(std::string_view input) {
    constexpr std::size_t kPrefix = 2;
    constexpr unsigned kOctet = 8;
    std::vector<std::string_view> frames;
    while (input.size() >= kPrefix) {
        const auto low = static_cast<std::uint8_t>(input[0]);
        const auto high = static_cast<std::uint8_t>(input[1]);
        const std::size_t length = low | static_cast<std::size_t>(high) << kOctet;
        input.remove_prefix(kPrefix);
        frames.push_back(input.substr(0, length));
        input.remove_prefix(frames.back().size());
    }
    return frames;
}

}  // namespace postrider::fuzz
