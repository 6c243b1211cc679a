#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace postrider::mail {

/// Character classes of the mail RFCs. Unlike <cctype> they know no locale and take any char.

[[nodiscard]] constexpr bool is_non_ascii(char c) {
    return static_cast<unsigned char>(c) >= 0x80;
}

/// US-ASCII controls: 0-31 and DEL. Tab, CR, LF and NUL are among them.
[[nodiscard]] constexpr bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

/// Space and tab.
[[nodiscard]] constexpr bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

[[nodiscard]] constexpr bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

[[nodiscard]] constexpr bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// RFC 5322 3.2.3 `atext`, what an unquoted local part is made of between its dots.
[[nodiscard]] constexpr bool is_atext(char c) {
    return is_letter(c) || is_digit(c) ||
           std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}

[[nodiscard]] constexpr char to_lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

[[nodiscard]] constexpr char to_upper(char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

[[nodiscard]] inline std::string to_lower(std::string_view text) {
    std::string lowered(text);
    for (char& c : lowered)
        c = to_lower(c);
    return lowered;
}

[[nodiscard]] inline std::string to_upper(std::string_view text) {
    std::string raised(text);
    for (char& c : raised)
        c = to_upper(c);
    return raised;
}

[[nodiscard]] constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return to_lower(x) == to_lower(y); });
}

[[nodiscard]] constexpr bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) {
    return text.size() >= prefix.size() && equal_ignoring_case(text.substr(0, prefix.size()), prefix);
}

[[nodiscard]] inline bool is_ascii(std::string_view text) {
    return std::none_of(text.begin(), text.end(), is_non_ascii);
}

/// Removes blanks from the front of `text`, and says how many there were.
constexpr std::size_t skip_blanks(std::string_view& text) {
    std::size_t count = 0;
    while (count < text.size() && is_blank(text[count]))
        ++count;
    text.remove_prefix(count);
    return count;
}

/// Removes blanks from the end of `text`.
constexpr void trim_blanks_at_end(std::string_view& text) {
    while (!text.empty() && is_blank(text.back()))
        text.remove_suffix(1);
}

}  // namespace postrider::mail
