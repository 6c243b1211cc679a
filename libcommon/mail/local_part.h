#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "libcommon/base/result.h"

namespace postrider::mail {

/// The part of an address before the @. It is handled by its value: `"john doe"` and `"john\ doe"`
/// are two written forms of the eight characters `john doe`. Quotes exist in the written form only.

/// Whether upper and lower case are the same. RFC 5321 2.4 leaves that to the host that owns the domain.
enum class LocalCase { Exact, Folded };

/// Reads a local part in its written form (dot-atom or one quoted string, RFC 5321 4.1.2, with UTF-8 as in
/// RFC 6531) from the front of `cursor`, moves `cursor` behind it, and returns its value.
/// Error: Permanent; empty, too long, misplaced dot, unbalanced quotes, control character, invalid UTF-8.
[[nodiscard]] Result<std::string> take_local_part(std::string_view& cursor);

/// Whether `value` can be a local part in some written form: not empty, not too long, no control character,
/// valid UTF-8.
[[nodiscard]] bool is_local_part_value(std::string_view value);

/// The written form of a value: as it is if it is a dot-atom, otherwise in quotes.
[[nodiscard]] std::string write_local_part(std::string_view value);

/// `value` in the form in which local parts are compared: the case folded if asked for (by Unicode's rules,
/// and normalised, when it is not plain US-ASCII).
[[nodiscard]] std::string compare_form(std::string_view value, LocalCase local_case);

/// A local part cut at its first delimiter: "alice+lists" is user "alice" with detail "lists".
struct SplitLocalPart {
    std::string user;
    std::optional<std::string> detail;
};

/// Cuts `local`, a value, at the first character that is one of `delimiters`. A delimiter at the very
/// beginning does not cut, so that the user is never empty; with empty `delimiters` there is no detail.
[[nodiscard]] SplitLocalPart split_detail(std::string_view local, std::string_view delimiters);

}  // namespace postrider::mail
