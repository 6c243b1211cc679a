#include "queue-manager/mime.h"

#include <fmt/format.h>

#include <algorithm>

#include "libcommon/base/base64.h"
#include "libcommon/mail/ascii.h"
#include "libcommon/mail/utf8.h"

namespace postrider::queue_manager {

namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::size_t kMaxMimeLine = 998;

}  // namespace

Octets octets_of(std::string_view text) {
    bool eight_bit = false;
    while (!text.empty()) {
        const std::size_t end = text.find(kLineEnd);
        const std::string_view line = text.substr(0, end);
        const bool strange =
            std::any_of(line.begin(), line.end(), [](char c) { return c == '\0' || c == '\r' || c == '\n'; });
        if (strange || line.size() > kMaxMimeLine) return Octets::Binary;
        eight_bit = eight_bit || !mail::is_ascii(line);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + kLineEnd.size());
    }
    return eight_bit ? Octets::EightBit : Octets::SevenBit;
}

std::string quoted_printable(std::string_view text) {
    // With the `=` of a soft line break a line has at most 76 characters.
    constexpr std::size_t kMostColumns = 75;
    std::string out;
    std::size_t column = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text.substr(i, 2) == kLineEnd) {
            out += kLineEnd;
            column = 0;
            ++i;
            continue;
        }
        const char c = text[i];
        // A blank at the end of a line would be lost on the way.
        const bool at_end = i + 1 == text.size() || text.substr(i + 1, 2) == kLineEnd;
        const bool plain = (c > ' ' && c <= '~' && c != '=') || (mail::is_blank(c) && !at_end);
        const std::size_t width = plain ? 1 : 3;
        if (column + width > kMostColumns) {
            out += "=\r\n";
            column = 0;
        }
        out += plain ? std::string(1, c) : fmt::format("={:02X}", static_cast<unsigned char>(c));
        column += width;
    }
    return out;
}

std::string encoded_words(std::string_view text) {
    // Of UTF-8, so that an encoded word has no more than 75 characters.
    constexpr std::size_t kMostOctets = 45;
    if (mail::is_ascii(text)) return std::string(text);
    std::string out;
    while (!text.empty()) {
        const std::size_t length = std::max<std::size_t>(mail::utf8_cut(text, kMostOctets), 1);
        if (!out.empty()) out += ' ';
        out += fmt::format("=?UTF-8?B?{}?=", encode_base64(text.substr(0, length)));
        text.remove_prefix(length);
    }
    return out;
}

}  // namespace postrider::queue_manager
