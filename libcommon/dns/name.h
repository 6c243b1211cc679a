#pragma once

#include <string>
#include <string_view>

#include "libcommon/base/result.h"

namespace postrider::dns {

/// A domain name as this library looks it up and returns it: lower case, without the final dot, labels of 1
/// to 63 octets out of letters, digits, `-`, `_` and `/` (RFC 2317), at most 253 octets in all. The empty
/// string is the root. Nothing else ever gets out of an answer, so that a name from the DNS can stand in a
/// log line or a header as it is. Permanent error for any other text.
[[nodiscard]] Result<std::string> canonical_name(std::string_view text);

}  // namespace postrider::dns
