#include "libcommon/mail/xtext.h"

#include "libcommon/mail/ascii.h"

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

}  // namespace postrider::mail
