#include "router/socketmap_protocol.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <utility>

#include "libcommon/mail/ascii.h"

namespace postrider::router {

namespace {

struct ReplyWord {
    std::string_view text;
    SocketmapReply::Kind kind;
};

constexpr std::array<ReplyWord, 5> kReplyWords{{
    {"OK", SocketmapReply::Kind::Found},
    {"NOTFOUND", SocketmapReply::Kind::NotFound},
    {"TEMP", SocketmapReply::Kind::Unavailable},
    {"TIMEOUT", SocketmapReply::Kind::Unavailable},
    {"PERM", SocketmapReply::Kind::Unavailable},
}};

}  // namespace

std::string socketmap_question(std::string_view map, std::string_view key) {
    return fmt::format("{}:{} {},", map.size() + 1 + key.size(), map, key);
}

Result<std::optional<SocketmapReply>> parse_socketmap_reply(std::string_view input, std::size_t limit) {
    std::size_t digits = 0;
    while (digits < input.size() && mail::is_digit(input[digits]))
        ++digits;
    // Seven digits are more than any limit; without this a server that sends nothing else would be read for
    // ever.
    constexpr std::size_t kMaxDigits = 7;
    if (digits > kMaxDigits) return permanent("a reply that is too long");
    if (digits == input.size()) return std::optional<SocketmapReply>();
    if (digits == 0 || input[digits] != ':' || (digits > 1 && input.front() == '0')) {
        return permanent("a reply that is no netstring");
    }
    std::size_t length = 0;
    std::from_chars(input.data(), input.data() + digits, length);
    if (length > limit) return permanent("a reply that is too long");
    const std::size_t size = digits + 1 + length + 1;
    if (input.size() < size) return std::optional<SocketmapReply>();
    if (input[size - 1] != ',') return permanent("a reply that is no netstring");

    const std::string_view text = input.substr(digits + 1, length);
    const std::string_view word = text.substr(0, text.find(' '));
    for (const ReplyWord& known : kReplyWords) {
        if (word != known.text) continue;
        const std::string_view rest = text.substr(std::min(word.size() + 1, text.size()));
        return std::optional(SocketmapReply{known.kind, std::string(rest), size});
    }
    return permanent("a reply that begins with none of the known words");
}

}  // namespace postrider::router
