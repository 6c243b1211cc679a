#include "libcommon/base/base64.h"

#include <algorithm>
#include <cstdint>

namespace postrider {

namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::size_t kGroup = 3;    // octets that become four characters
constexpr std::size_t kOnHeap = 32;  // more than a string keeps within itself

}  // namespace

std::string encode_base64(std::string_view octets) {
    std::string text;
    text.reserve((octets.size() + kGroup - 1) / kGroup * 4);
    for (std::size_t at = 0; at < octets.size(); at += kGroup) {
        const std::string_view group = octets.substr(at, kGroup);
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < kGroup; ++i) {
            bits = bits << 8U | (i < group.size() ? static_cast<unsigned char>(group[i]) : 0U);
        }
        text += kAlphabet[bits >> 18U];
        text += kAlphabet[bits >> 12U & 63U];
        text += group.size() > 1 ? kAlphabet[bits >> 6U & 63U] : '=';
        text += group.size() > 2 ? kAlphabet[bits & 63U] : '=';
    }
    return text;
}

std::optional<std::string> decode_base64(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
    std::string octets;
    // At least so much that the octets lie on the heap, where moving them leaves no copy behind: they may be
    // a password.
    octets.reserve(std::max(text.size() / 4 * kGroup, kOnHeap));
    std::uint32_t bits = 0;
    std::size_t held = 0;  // bits that are not in `octets` yet
    for (const char character : text.substr(0, text.size() - padding)) {
        const std::size_t value = kAlphabet.find(character);
        if (value == std::string_view::npos) return std::nullopt;
        bits = bits << 6U | static_cast<std::uint32_t>(value);
        held += 6;
        if (held < 8) continue;
        held -= 8;
        octets += static_cast<char>(bits >> held & 0xFFU);
    }
    // What the padding cuts off must be zero, so that every text has one meaning.
    if ((bits & ((1U << held) - 1U)) != 0) return std::nullopt;
    return octets;
}

}  // namespace postrider
