#pragma once

#include <string>
#include <string_view>

namespace postrider::admin {

/// The body of a From field: the display name, quoted, or encoded if it has letters beyond ASCII (RFC 5322,
/// 3.4; RFC 2047, 5), and the address. Control characters of the name are left out.
[[nodiscard]] std::string from_field(std::string_view name, const std::string& address);

}  // namespace postrider::admin
