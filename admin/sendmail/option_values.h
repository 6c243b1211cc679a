#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/result.h"

/// The values of sendmail's options, each as text in and text or an error out.
namespace postrider::admin {

/// -N: `never`, or a list of `success`, `failure` and `delay`; the NOTIFY= value. RFC 3461, 4.1.
[[nodiscard]] Result<std::string> parse_notify(std::string_view text);

/// -R: `full` or `hdrs`; the RET= value. RFC 3461, 4.3.
[[nodiscard]] Result<std::string> parse_ret(std::string_view text);

/// -V: 1 to 100 characters, counted as xtext; the ENVID= value. RFC 3461, 4.4.
[[nodiscard]] Result<std::string> parse_envid(std::string_view text);

/// What stands behind -q, unless it is an interval: nothing, `R[@]DOMAIN`, `IID` or `SADDRESS`; the words
/// behind `postrider queue flush`.
[[nodiscard]] Result<std::vector<std::string>> parse_flush(std::string_view text);

/// What a setting behind -o or -O means here.
enum class Setting { Ignored, DotIsText };

/// -o, whose settings have one letter and a value behind it: "i", "em", "db".
[[nodiscard]] Result<Setting> parse_short_setting(std::string_view text);

/// -O, whose settings have names: "IgnoreDots", "DeliveryMode=background".
[[nodiscard]] Result<Setting> parse_long_setting(std::string_view text);

}  // namespace postrider::admin
