#include "libcommon/log/escape.h"

#include <array>
#include <cstdint>

namespace postrider::log {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

/// One character at the front of a string.
struct Character {
    std::size_t length = 1;
    std::uint32_t code_point = 0;
    bool valid = false;  ///< Proper UTF-8: not truncated, not overlong, no surrogate, at most U+10FFFF.
};

std::uint8_t byte_at(std::string_view text, std::size_t index) {
    return static_cast<std::uint8_t>(text[index]);
}

Character first_character(std::string_view text) {
    static constexpr std::array<std::uint32_t, 5> kSmallest{0, 0, 0x80, 0x800, 0x10000};
    std::uint8_t lead = byte_at(text, 0);
    if (lead < 0x80) return {1, lead, true};
    std::size_t length = lead >= 0xf0 ? 4U : lead >= 0xe0 ? 3U : 2U;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {1, lead, false};
    std::uint32_t code_point = lead & (0x7fU >> length);
    for (std::size_t i = 1; i < length; ++i) {
        std::uint8_t next = byte_at(text, i);
        if ((next & 0xc0) != 0x80) return {1, lead, false};
        code_point = (code_point << 6) | (next & 0x3fU);
    }
    bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
    if (code_point < kSmallest.at(length) || surrogate || code_point > 0x10ffff) return {1, lead, false};
    return {length, code_point, true};
}

/// Characters that could end the line, move the cursor, or reverse the order in which a terminal shows it.
bool is_control(std::uint32_t code_point) {
    return code_point < 0x20 || (code_point >= 0x7f && code_point <= 0x9f) || code_point == 0x200e ||
           code_point == 0x200f || (code_point >= 0x2028 && code_point <= 0x202e) ||
           (code_point >= 0x2066 && code_point <= 0x2069);
}

void append_hex(Line::Buffer& line, std::string_view prefix, std::uint32_t value, unsigned digits) {
    line.append(prefix);
    while (digits-- > 0)
        line.append(kHexDigits.substr((value >> (4 * digits)) & 0xf, 1));
}

/// Appends the escape that both formats share. Returns whether there was one.
bool append_short_escape(Line::Buffer& line, char character) {
    switch (character) {
        case '"':
            line.append("\\\"");
            return true;
        case '\\':
            line.append("\\\\");
            return true;
        case '\n':
            line.append("\\n");
            return true;
        case '\r':
            line.append("\\r");
            return true;
        case '\t':
            line.append("\\t");
            return true;
        default:
            return false;
    }
}

void append_text_character(Line::Buffer& line, std::string_view bytes, Character character) {
    if (character.valid && !is_control(character.code_point)) {
        line.append(bytes);
        return;
    }
    for (std::size_t i = 0; i < bytes.size(); ++i)
        append_hex(line, "\\x", byte_at(bytes, i), 2);
}

void append_json_character(Line::Buffer& line, std::string_view bytes, Character character) {
    if (!character.valid) {
        append_hex(line, "\\\\x", character.code_point, 2);
    } else if (is_control(character.code_point)) {
        append_hex(line, "\\u", character.code_point, 4);
    } else {
        line.append(bytes);
    }
}

/// Walks over the characters of `value`; the two formats differ in `append_character` only.
template <typename AppendCharacter>
bool append_escaped(Line::Buffer& line, std::string_view value, AppendCharacter append_character) {
    std::size_t start = line.size;
    while (!value.empty()) {
        Character next = first_character(value);
        std::size_t before = line.size;
        if (!append_short_escape(line, value.front())) {
            append_character(line, value.substr(0, next.length), next);
        }
        if (line.size - start > kMaximumValue) {
            line.size = before;
            return false;
        }
        value.remove_prefix(next.length);
    }
    return true;
}

}  // namespace

bool is_plain_word(std::string_view value) noexcept {
    if (value.empty()) return false;
    while (!value.empty()) {
        Character next = first_character(value);
        char front = value.front();
        if (!next.valid || is_control(next.code_point)) return false;
        if (front == ' ' || front == '"' || front == '=' || front == '\\') return false;
        value.remove_prefix(next.length);
    }
    return true;
}

std::string_view cut_at_character(std::string_view value, std::size_t limit) noexcept {
    if (value.size() <= limit) return value;
    std::size_t end = limit;
    // A character has at most three continuation bytes; more of them are no UTF-8 and may be cut anywhere.
    for (unsigned i = 0; i < 3 && end > 0 && (byte_at(value, end) & 0xc0) == 0x80; ++i)
        --end;
    return value.substr(0, end);
}

bool append_text_escaped(Line::Buffer& line, std::string_view value) noexcept {
    return append_escaped(line, value, append_text_character);
}

bool append_json_escaped(Line::Buffer& line, std::string_view value) noexcept {
    return append_escaped(line, value, append_json_character);
}

}  // namespace postrider::log
