#include "admin/sendmail/from_field.h"

#include <fmt/format.h>

#include "libcommon/base/base64.h"
#include "libcommon/mail/ascii.h"
#include "libcommon/mail/utf8.h"

namespace postrider::admin {

namespace {

/// Encoded words of at most 75 characters, each with whole characters in it (RFC 2047, 2 and 5).
std::string encoded_words(std::string_view name) {
    constexpr std::size_t kOctetsPerWord = 45;
    std::string words;
    while (!name.empty()) {
        const std::size_t size = mail::utf8_cut(name, kOctetsPerWord);
        words +=
            fmt::format("{}=?utf-8?B?{}?=", words.empty() ? "" : "\n ", encode_base64(name.substr(0, size)));
        name.remove_prefix(size);
    }
    return words;
}

}  // namespace

std::string from_field(std::string_view name, const std::string& address) {
    std::string shown;
    for (const char c : name) {
        if (!mail::is_control(c)) shown += c;
    }
    if (shown.empty()) return address;
    if (!mail::is_ascii(shown))
        return fmt::format("{} <{}>", encoded_words(mail::make_printable(shown)), address);
    std::string quoted;
    for (const char c : shown) {
        if (c == '"' || c == '\\') quoted += '\\';
        quoted += c;
    }
    return fmt::format("\"{}\" <{}>", quoted, address);
}

}  // namespace postrider::admin
