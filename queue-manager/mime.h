#pragma once

#include <string>
#include <string_view>

/// The forms in which text beyond printable ASCII goes into a report, so that every host can take it. Pure.
namespace postrider::queue_manager {

/// What a host must be able to take for a text to reach it unchanged (RFC 2045, 2.7 to 2.9).
enum class Octets {
    SevenBit,  ///< lines of at most 998 octets of US-ASCII, ended by CRLF, without NUL
    EightBit,  ///< the same with octets beyond US-ASCII
    Binary     ///< anything else
};
[[nodiscard]] Octets octets_of(std::string_view text);

/// `text`, whose lines end with CRLF, as quoted-printable (RFC 2045, 6.7); a CR or LF that ends no line is
/// encoded. It ends with CRLF if `text` does.
[[nodiscard]] std::string quoted_printable(std::string_view text);

/// A text in UTF-8 for a header field: itself if it is ASCII, or else encoded words (RFC 2047) with a blank
/// between two of them.
[[nodiscard]] std::string encoded_words(std::string_view text);

}  // namespace postrider::queue_manager
