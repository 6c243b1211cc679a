#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace postrider::queue_file {

/// Appends `value` to `out`, lowest byte first.
template <typename Integer>
void put_little_endian(std::string& out, Integer value) {
    for (std::size_t i = 0; i < sizeof(Integer); ++i) {
        out.push_back(static_cast<char>((static_cast<std::uint64_t>(value) >> (8 * i)) & 0xFF));
    }
}

/// Reads an integer at `offset`; the caller has checked that the bytes are there.
template <typename Integer>
[[nodiscard]] Integer get_little_endian(std::string_view bytes, std::size_t offset) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(Integer); ++i) {
        value |= std::uint64_t{static_cast<unsigned char>(bytes[offset + i])} << (8 * i);
    }
    return static_cast<Integer>(value);
}

}  // namespace postrider::queue_file
