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

/// An address of the type `utf-8` in US-ASCII (RFC 6533 3, utf-8-addr-xtext): "j\x{F6}rg@x". It goes into
/// ORCPT and reports whether the next host has SMTPUTF8 or not. `address` is UTF-8; other octets become `?`.
[[nodiscard]] std::string encode_utf8_address(std::string_view address);

/// The address that such a text, or one that has UTF-8 beside it (utf-8-addr-unitext), stands for. Error:
/// Permanent; a malformed escape, or one for a control character or for no character.
[[nodiscard]] Result<std::string> decode_utf8_address(std::string_view encoded);

}  // namespace postrider::mail
