#pragma once

#include <string>
#include <string_view>

#include "libcommon/base/result.h"

namespace postrider::mail {

/// Decodes xtext (RFC 3461 4), the form of ENVID, ORCPT and AUTH values: "a+3Db" is "a=b". Hexadecimal digits
/// of either case are accepted. Error: Permanent; a malformed or forbidden character, or an encoded control
/// character, which NUL and line breaks are: decoded, they would end up in headers and reports.
[[nodiscard]] Result<std::string> decode_xtext(std::string_view encoded);

/// Encodes any text as xtext. decode_xtext(encode_xtext(x)) == x for every x without control characters.
[[nodiscard]] std::string encode_xtext(std::string_view text);

}  // namespace postrider::mail
