#include "queue-manager/returned_content.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "libcommon/mail/ascii.h"
#include "libcommon/mail/utf8.h"
#include "queue-manager/mime.h"

namespace postrider::queue_manager {

namespace {

// A header of this length says all that a human needs to recognise a message; more is cut at a line.
constexpr std::size_t kMaxReturnedHeader = std::size_t{64} << 10;

/// The lines of `text` that fit into `limit` octets.
std::string_view cut_at_line(std::string_view text, std::size_t limit) {
    if (text.size() <= limit) return text;
    const std::size_t end = text.rfind("\r\n", limit >= 2 ? limit - 2 : 0);
    return end == std::string_view::npos ? std::string_view() : text.substr(0, end + 2);
}

/// The value of the first field of that name, in one line; empty if there is none.
std::string field_value(std::string_view head, std::string_view name) {
    std::string value;
    bool inside = false;
    while (!head.empty()) {
        const std::size_t end = head.find("\r\n");
        const std::string_view line = head.substr(0, end);
        head.remove_prefix(end == std::string_view::npos ? head.size() : end + 2);
        const bool folded = !line.empty() && mail::is_blank(line.front());
        if (inside && !folded) break;
        if (folded) {
            if (inside) value += line;
            continue;
        }
        inside = mail::starts_with_ignoring_case(line, name) && line.substr(name.size(), 1) == ":";
        if (inside) value = line.substr(name.size() + 1);
    }
    return value;
}

/// The boundary that a Content-Type names (RFC 2046, 5.1.1); empty if it names none.
std::string boundary_of(std::string_view content_type) {
    constexpr std::string_view kParameter = "boundary=";
    for (std::size_t at = content_type.find(';'); at != std::string_view::npos;
         at = content_type.find(';', at + 1)) {
        std::string_view rest = content_type.substr(at + 1);
        mail::skip_blanks(rest);
        if (!mail::starts_with_ignoring_case(rest, kParameter)) continue;
        rest.remove_prefix(kParameter.size());
        if (!rest.starts_with('"')) return std::string(rest.substr(0, rest.find_first_of(" \t;(")));
        std::string boundary;
        for (std::size_t i = 1; i < rest.size() && rest[i] != '"'; ++i) {
            if (rest[i] == '\\' && i + 1 < rest.size()) ++i;
            boundary += rest[i];
        }
        return boundary;
    }
    return {};
}

/// The parts of a multipart body that are complete within `limit` octets, closed behind the last of them.
std::optional<std::string> whole_parts(std::string_view body, std::size_t limit,
                                       const std::string& boundary) {
    const std::string closing = fmt::format("--{}--\r\n", boundary);
    if (boundary.empty() || limit < closing.size()) return std::nullopt;
    const std::string delimiter = fmt::format("--{}", boundary);
    const std::string_view room = cut_at_line(body, limit - closing.size());
    std::size_t delimiters = 0;
    std::size_t last = 0;
    for (std::size_t at = room.find(delimiter); at != std::string_view::npos;
         at = room.find(delimiter, at + 1)) {
        if (at != 0 && room[at - 1] != '\n') continue;
        ++delimiters;
        last = at;
    }
    // The first one only begins a part.
    if (delimiters < 2) return std::nullopt;
    return std::string(room.substr(0, last)) + closing;
}

/// What of the body fits into `limit`; nothing if no piece of it is a body by itself.
std::optional<std::string> beginning_of_body(std::string_view head, std::string_view body,
                                             std::size_t limit) {
    const std::string content_type = field_value(head, "Content-Type");
    std::string_view type = content_type;
    mail::skip_blanks(type);
    if (mail::starts_with_ignoring_case(type, "multipart/"))
        return whole_parts(body, limit, boundary_of(type));
    if (mail::starts_with_ignoring_case(type, "message/")) return std::nullopt;
    const std::string_view lines = cut_at_line(body, limit);
    return lines.empty() ? std::nullopt : std::optional<std::string>(lines);
}

ReturnedContent header_alone(std::string_view head, bool utf8) {
    // The empty line that ends the header is no part of a copy of the header alone.
    if (head == "\r\n") head = {};
    if (head.ends_with("\r\n\r\n")) head.remove_suffix(2);
    const Octets octets = octets_of(head);
    if (octets == Octets::SevenBit) return {"text/rfc822-headers", "", std::string(head)};
    std::string lines(head);
    std::erase_if(lines, [](char c) { return c == '\r' || c == '\n' || c == '\t'; });
    const bool is_utf8 = octets == Octets::EightBit && mail::is_printable_utf8(lines);
    if (utf8 && is_utf8) return {"message/global-headers", "8bit", std::string(head)};
    // RFC 6522, 4, has a header encoded that is not what a header should be.
    const char* type = is_utf8 ? "text/rfc822-headers; charset=utf-8" : "text/rfc822-headers";
    return {type, "quoted-printable", quoted_printable(head)};
}

}  // namespace

ReturnedContent returned_content(std::string_view content, std::uint64_t content_length, bool with_body,
                                 std::size_t max_body, bool utf8) {
    const std::size_t body_at = header_length(content);
    const std::string_view head = cut_at_line(content.substr(0, body_at), kMaxReturnedHeader);
    const std::string_view body = content.substr(body_at);
    // A header that was cut may lack what says how to read the body.
    if (!with_body || head.size() < body_at) return header_alone(head, utf8);
    const bool is_whole = content.size() == content_length && body.size() <= max_body;
    const auto returned =
        is_whole ? std::optional<std::string>(body) : beginning_of_body(head, body, max_body);
    if (!returned) return header_alone(head, utf8);
    std::string copy = std::string(head) + *returned;
    const Octets octets = octets_of(copy);
    if (octets == Octets::Binary) return header_alone(head, utf8);
    const char* type = mail::is_ascii(head) ? "message/rfc822" : "message/global";
    return {type, octets == Octets::EightBit ? "8bit" : "", std::move(copy)};
}

std::size_t header_length(std::string_view content) {
    if (content.starts_with("\r\n")) return 2;
    const std::size_t end = content.find("\r\n\r\n");
    return end == std::string_view::npos ? content.size() : end + 4;
}

}  // namespace postrider::queue_manager
