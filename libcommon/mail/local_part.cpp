#include "libcommon/mail/local_part.h"

#include <fmt/format.h>
#include <unicase.h>
#include <uninorm.h>

#include <cstdlib>
#include <memory>

#include "libcommon/mail/ascii.h"
#include "libcommon/mail/limits.h"
#include "libcommon/mail/utf8.h"

namespace postrider::mail {
namespace {

bool is_atom_character(char c) {
    return is_atext(c) || is_non_ascii(c);
}

/// The length of the dot-atom at the front of `text`: atoms with single dots between them. A dot that has no
/// atom behind it does not belong to it.
std::size_t dot_atom_length(std::string_view text) {
    std::size_t length = 0;
    while (length < text.size()) {
        const bool dot_inside = text[length] == '.' && length > 0 && text[length - 1] != '.' &&
                                length + 1 < text.size() && is_atom_character(text[length + 1]);
        if (!is_atom_character(text[length]) && !dot_inside) break;
        ++length;
    }
    return length;
}

Result<std::string> take_dot_atom(std::string_view& cursor) {
    const std::size_t length = dot_atom_length(cursor);
    const std::string_view rest = cursor.substr(length);
    if (rest.starts_with('.')) return permanent("misplaced dot in local part");
    if (rest.starts_with('"')) return permanent("misplaced quote in local part");
    if (length == 0) return permanent("empty local part");
    std::string value(cursor.substr(0, length));
    cursor = rest;
    return value;
}

Result<std::string> take_quoted_string(std::string_view& cursor) {
    std::string value;
    std::size_t position = 1;  // Behind the opening quote.
    for (; position < cursor.size() && cursor[position] != '"'; ++position) {
        if (cursor[position] == '\\') ++position;
        if (position == cursor.size()) break;
        if (is_control(cursor[position])) return permanent("control character in local part");
        value += cursor[position];
    }
    if (position >= cursor.size()) return permanent("unbalanced quotes in local part");
    cursor.remove_prefix(position + 1);
    return value;
}

std::string fold_ascii_or_unicode(std::string_view value) {
    if (is_ascii(value)) return to_lower(value);
    struct Free {
        void operator()(std::uint8_t* text) const { std::free(text); }
    };
    std::size_t length = 0;
    const auto* octets = reinterpret_cast<const std::uint8_t*>(value.data());
    const std::unique_ptr<std::uint8_t, Free> folded(
        u8_casefold(octets, value.size(), nullptr, UNINORM_NFC, nullptr, &length));
    if (!folded) return to_lower(value);
    return {reinterpret_cast<const char*>(folded.get()), length};
}

}  // namespace

Result<std::string> take_local_part(std::string_view& cursor) {
    auto value = cursor.starts_with('"') ? take_quoted_string(cursor) : take_dot_atom(cursor);
    if (!value) return value;
    if (value->empty()) return permanent("empty local part");
    if (value->size() > kMaxLocalPart) {
        return permanent(fmt::format("local part longer than {} octets", kMaxLocalPart));
    }
    if (!is_printable_utf8(*value)) return permanent("local part is not valid UTF-8");
    return value;
}

bool is_local_part_value(std::string_view value) {
    return !value.empty() && value.size() <= kMaxLocalPart && is_printable_utf8(value);
}

std::string write_local_part(std::string_view value) {
    if (!value.empty() && dot_atom_length(value) == value.size()) return std::string(value);
    std::string written = "\"";
    for (const char c : value) {
        if (c == '"' || c == '\\') written += '\\';
        written += c;
    }
    written += '"';
    return written;
}

std::string compare_form(std::string_view value, LocalCase local_case) {
    return local_case == LocalCase::Folded ? fold_ascii_or_unicode(value) : std::string(value);
}

SplitLocalPart split_detail(std::string_view local, std::string_view delimiters) {
    const std::size_t cut = local.find_first_of(delimiters, 1);
    if (cut == std::string_view::npos) return {std::string(local), std::nullopt};
    return {std::string(local.substr(0, cut)), std::string(local.substr(cut + 1))};
}

}  // namespace postrider::mail
