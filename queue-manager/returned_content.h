#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// What a report returns of the message that it tells of. Pure.
namespace postrider::queue_manager {

/// The third part of a report.
struct ReturnedContent {
    std::string type;      ///< of the part, with its parameters
    std::string encoding;  ///< Content-Transfer-Encoding; empty: 7bit
    std::string text;      ///< encoded
};

/// Takes the part from `content`, the beginning of a message of `content_length` octets that has its header
/// at least. With `with_body` as much of the body goes with it as fits into `max_body` octets and leaves the
/// copy well-formed: whole parts of a message of several, else whole lines. Without it, or where there is no
/// such piece, or where the body cannot be sent to every host with 8BITMIME (NUL, other ends of lines, too
/// long lines), only the header. `utf8`: the part may have a header in UTF-8 (RFC 6533), because who gets the
/// report needs SMTPUTF8 anyway; otherwise such a header alone is encoded.
[[nodiscard]] ReturnedContent returned_content(std::string_view content, std::uint64_t content_length,
                                               bool with_body, std::size_t max_body, bool utf8);

/// Where the header of a message ends: the offset of its body. `content` is cut by the caller, so the end of
/// the header may be missing; then it is content.size().
[[nodiscard]] std::size_t header_length(std::string_view content);

}  // namespace postrider::queue_manager
