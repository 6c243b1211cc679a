#include "libcommon/mail/utf8.h"

#include <unistr.h>

#include <algorithm>

#include "libcommon/mail/ascii.h"

namespace postrider::mail {
namespace {

const std::uint8_t* octets(std::string_view text) {
    return reinterpret_cast<const std::uint8_t*>(text.data());
}

/// U+0080 to U+009F are the two octets C2 80 to C2 9F.
bool is_c1_control(std::string_view text, std::size_t position) {
    return text[position] == '\xC2' && position + 1 < text.size() &&
           static_cast<unsigned char>(text[position + 1]) < 0xA0;
}

/// The length of the well-formed, printable character at `position`, or 0 if there is none.
std::size_t printable_length(std::string_view text, std::size_t position) {
    if (is_control(text[position]) || is_c1_control(text, position)) return 0;
    const int length = u8_mblen(octets(text) + position, text.size() - position);
    return length > 0 ? static_cast<std::size_t>(length) : 0;
}

}  // namespace

bool is_printable_utf8(std::string_view text) {
    if (std::any_of(text.begin(), text.end(), is_control)) return false;
    if (is_ascii(text)) return true;
    if (u8_check(octets(text), text.size()) != nullptr) return false;
    for (std::size_t position = 0; position < text.size(); ++position) {
        if (is_c1_control(text, position)) return false;
    }
    return true;
}

std::string make_printable(std::string_view text) {
    std::string printable;
    printable.reserve(text.size());
    std::size_t position = 0;
    while (position < text.size()) {
        const std::size_t length = printable_length(text, position);
        if (length == 0) {
            printable += text[position] == '\t' ? ' ' : '?';
            ++position;
        } else {
            printable += text.substr(position, length);
            position += length;
        }
    }
    return printable;
}

std::size_t utf8_cut(std::string_view text, std::size_t limit) {
    if (text.size() <= limit) return text.size();
    std::size_t cut = limit;
    const auto is_continuation = [&](std::size_t at) {
        return (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
    };
    while (cut > 0 && limit - cut < 4 && is_continuation(cut))
        --cut;
    // Four continuation octets in a row are not UTF-8, so any place is as good.
    return cut == 0 || is_continuation(cut) ? limit : cut;
}

}  // namespace postrider::mail
