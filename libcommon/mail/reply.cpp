#include "libcommon/mail/reply.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "libcommon/mail/ascii.h"
#include "libcommon/mail/limits.h"
#include "libcommon/mail/utf8.h"

namespace postrider::mail {
namespace {

std::string clean_text(std::string_view text, ReplyCharset charset) {
    std::string clean = make_printable(text);
    if (charset == ReplyCharset::Ascii) std::replace_if(clean.begin(), clean.end(), is_non_ascii, '?');
    return clean;
}

/// Breaks `text` into pieces of at most `room` octets, at blanks where that leaves no very short piece.
void append_pieces(std::string_view text, std::size_t room, std::vector<std::string>& pieces) {
    while (text.size() > room) {
        const std::size_t blank = text.rfind(' ', room);
        const bool at_blank = blank != std::string_view::npos && blank >= room / 2;
        const std::size_t cut = at_blank ? blank : utf8_cut(text, room);
        pieces.emplace_back(text.substr(0, cut));
        text.remove_prefix(at_blank ? cut + 1 : cut);
    }
    pieces.emplace_back(text);
}

}  // namespace

std::string EnhancedCode::to_string() const {
    return fmt::format("{}.{}.{}", class_, subject_, detail_);
}

std::optional<EnhancedCode> parse_enhanced_code(std::string_view text) {
    std::array<int, 3> numbers = {};
    for (std::size_t index = 0; index < numbers.size(); ++index) {
        const std::size_t end = index + 1 < numbers.size() ? text.find('.') : text.size();
        // Three digits are the most that RFC 3463 2 allows, and keep from_chars from any overflow.
        if (end == std::string_view::npos || end == 0 || end > 3) return std::nullopt;
        const std::string_view digits = text.substr(0, end);
        if (!std::all_of(digits.begin(), digits.end(), is_digit)) return std::nullopt;
        std::from_chars(digits.data(), digits.data() + digits.size(), numbers[index]);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return EnhancedCode::from_numbers(numbers[0], numbers[1], numbers[2]);
}

std::string format(const Reply& reply, ReplyCharset charset) {
    const std::string enhanced = reply.enhanced ? reply.enhanced->to_string() + " " : std::string();
    constexpr std::size_t kCodeAndLineEnd = sizeof("250-\r\n") - 1;
    const std::size_t room = kMaxReplyLineSent - kCodeAndLineEnd - enhanced.size();
    std::vector<std::string> pieces;
    for (const std::string& line : reply.lines)
        append_pieces(clean_text(line, charset), room, pieces);
    // A reply without text still has the space behind its code, which RFC 5321 4.2 asks for.
    if (pieces.empty()) pieces.emplace_back();
    std::string wire;
    for (std::size_t index = 0; index < pieces.size(); ++index) {
        const char divider = index + 1 < pieces.size() ? '-' : ' ';
        wire += fmt::format("{}{}{}{}\r\n", reply.code.value(), divider, enhanced, pieces[index]);
    }
    return wire;
}

std::string summary(const Reply& reply) {
    std::string text = std::to_string(reply.code.value());
    if (reply.enhanced) text += " " + reply.enhanced->to_string();
    std::string_view divider = " ";
    for (const std::string& line : reply.lines) {
        if (line.empty()) continue;
        text += divider;
        text += make_printable(line);
        divider = "; ";
    }
    return text;
}

}  // namespace postrider::mail
