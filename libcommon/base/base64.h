#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postrider {

/// Base64 with padding and without line breaks (RFC 4648, 4).
[[nodiscard]] std::string encode_base64(std::string_view octets);

/// The octets, or nothing if `text` is not exactly what encode_base64() makes of some.
[[nodiscard]] std::optional<std::string> decode_base64(std::string_view text);

}  // namespace postrider
