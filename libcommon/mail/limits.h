#pragma once

#include <cstddef>

namespace postrider::mail {

/// Sizes that the mail protocols fix, in octets unless the name says otherwise. They bound what a peer can
/// make grow and are not configurable; those that an administrator sets are in the configuration.

/// RFC 5321 4.5.3.1.1 asks for 64; longer ones are in use (VERP, SRS) and are passed on.
inline constexpr std::size_t kMaxLocalPart = 255;
/// RFC 1035 and RFC 5321 4.5.3.1.2, counted in the A-label form.
inline constexpr std::size_t kMaxDomain = 255;
inline constexpr std::size_t kMaxLabel = 63;
/// What is looked at all before the conversion to A-labels, which can shrink a name.
inline constexpr std::size_t kMaxUtf8Domain = 1000;
/// A path with its angle brackets and source route, RFC 5321 4.5.3.1.3; the second for paths with UTF-8.
inline constexpr std::size_t kMaxPath = 256;
inline constexpr std::size_t kMaxUtf8Path = 1000;

/// ESMTP parameters of one command. All that are registered together are fewer.
inline constexpr std::size_t kMaxParameters = 32;

/// A reply line that we send, with its CRLF (RFC 5321 4.5.3.1.5).
inline constexpr std::size_t kMaxReplyLineSent = 512;
/// A reply line that we accept, without its CRLF, and the number of lines in one reply.
inline constexpr std::size_t kMaxReplyLineReceived = 4096;
inline constexpr std::size_t kMaxReplyLines = 100;

/// A line of content with its CRLF. RFC 5321 4.5.3.1.6 asks for 1000.
inline constexpr std::size_t kMaxTextLine = 65536;

/// The header of a message: its size with the empty line that ends it, and its fields.
inline constexpr std::size_t kMaxHeader = 262144;
inline constexpr std::size_t kMaxHeaderFields = 1000;
/// How much of one header field is kept for a look at its value.
inline constexpr std::size_t kMaxFieldKept = 2048;
/// How many Delivered-To values are kept; more than any hop limit lets a message collect.
inline constexpr std::size_t kMaxDeliveredToKept = 128;

}  // namespace postrider::mail
