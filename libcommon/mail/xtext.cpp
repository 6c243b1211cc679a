#include "libcommon/mail/xtext.h"

#include <fmt/format.h>
#include <unistr.h>

#include <array>
#include <charconv>

#include "libcommon/mail/ascii.h"
#include "libcommon/mail/utf8.h"

namespace postrider::mail {
namespace {

int hex_value(char c) {
    if (is_digit(c)) return c - '0';
    if (to_lower(c) >= 'a' && to_lower(c) <= 'f') return to_lower(c) - 'a' + 10;
    return -1;
}

/// RFC 3461 4 `xchar`; UTF-8 too, which RFC 6533 lets ORCPT carry unencoded under SMTPUTF8.
bool is_xchar(char c) {
    return !is_control(c) && c != ' ' && c != '+' && c != '=';
}

/// RFC 6533 3 `QCHAR`: what stands for itself in an encoded UTF-8 address.
bool is_qchar(char c) {
    return is_xchar(c) && !is_non_ascii(c) && c != '\\';
}

}  // namespace

Result<std::string> decode_xtext(std::string_view encoded) {
    std::string text;
    text.reserve(encoded.size());
    for (std::size_t position = 0; position < encoded.size(); ++position) {
        if (is_xchar(encoded[position])) {
            text += encoded[position];
            continue;
        }
        if (encoded[position] != '+') return permanent("character not allowed in xtext");
        const int high = position + 1 < encoded.size() ? hex_value(encoded[position + 1]) : -1;
        const int low = position + 2 < encoded.size() ? hex_value(encoded[position + 2]) : -1;
        if (high < 0 || low < 0) return permanent("'+' without two hexadecimal digits in xtext");
        const char decoded = static_cast<char>(high * 16 + low);
        if (is_control(decoded)) return permanent("encoded control character in xtext");
        text += decoded;
        position += 2;
    }
    return text;
}

std::string encode_xtext(std::string_view text) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    std::string encoded;
    encoded.reserve(text.size());
    for (const char c : text) {
        if (is_xchar(c) && !is_non_ascii(c)) {
            encoded += c;
            continue;
        }
        const auto octet = static_cast<unsigned char>(c);
        encoded += '+';
        encoded += kDigits[octet >> 4U];
        encoded += kDigits[octet & 0xFU];
    }
    return encoded;
}

std::string encode_utf8_address(std::string_view address) {
    const std::string printable = make_printable(address);
    const auto* octets = reinterpret_cast<const std::uint8_t*>(printable.data());
    std::string encoded;
    for (std::size_t position = 0; position < printable.size();) {
        ucs4_t character = 0;
        const int length = u8_mbtouc(&character, octets + position, printable.size() - position);
        if (character < 0x80 && is_qchar(static_cast<char>(character))) {
            encoded += static_cast<char>(character);
        } else {
            encoded += fmt::format("\\x{{{:02X}}}", character);
        }
        position += static_cast<std::size_t>(length);
    }
    return encoded;
}

Result<std::string> decode_utf8_address(std::string_view encoded) {
    constexpr std::string_view kEscape = "\\x{";
    constexpr std::size_t kMostDigits = 6;
    std::string address;
    while (!encoded.empty()) {
        const std::size_t plain = std::min(encoded.find('\\'), encoded.size());
        address += encoded.substr(0, plain);
        encoded.remove_prefix(plain);
        if (encoded.empty()) break;
        const std::size_t end = encoded.find('}');
        const bool shaped = encoded.starts_with(kEscape) && end != std::string_view::npos &&
                            end > kEscape.size() && end <= kEscape.size() + kMostDigits;
        if (!shaped) return permanent("'\\' without x{ and the number of a character in a UTF-8 address");
        ucs4_t character = 0;
        const char* last = encoded.data() + end;
        const auto [rest, error] = std::from_chars(encoded.data() + kEscape.size(), last, character, 16);
        std::array<std::uint8_t, 6> octets{};
        const int length = rest == last && error == std::errc()
                               ? u8_uctomb(octets.data(), character, static_cast<int>(octets.size()))
                               : -1;
        if (length <= 0) return permanent("an escape that stands for no character in a UTF-8 address");
        address.append(reinterpret_cast<const char*>(octets.data()), static_cast<std::size_t>(length));
        encoded.remove_prefix(end + 1);
    }
    if (!is_printable_utf8(address))
        return permanent("a UTF-8 address that has control characters or is no UTF-8");
    return address;
}

}  // namespace postrider::mail
