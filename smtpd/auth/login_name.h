#pragma once

#include <cstddef>
#include <string>
#include <string_view>

/// The bounds of what a client may log in with.
namespace postrider::auth {

/// The longest login, in octets: the longest address with a domain and a local part of the usual size
/// (RFC 5321, 4.5.3.1.3, without the angle brackets).
inline constexpr std::size_t kMaxLogin = 254;

/// The longest password, in octets: what crypt(3) and PAM take (CRYPT_MAX_PASSPHRASE_SIZE,
/// PAM_MAX_RESP_SIZE), without the NUL at the end.
inline constexpr std::size_t kMaxPassword = 511;

/// Whether `text` can be a login: UTF-8 without control characters, neither empty nor too long. Everything
/// else is nobody's, so that no method, log line or frame ever sees it.
[[nodiscard]] bool is_login(std::string_view text);

/// Whether `text` can be a password: not too long, not empty, and without NUL, which would end it in the C
/// library and so make it a shorter one.
[[nodiscard]] bool is_password(std::string_view text);

/// The login by which password files know a user and by which failures are counted: ASCII letters in lower
/// case.
[[nodiscard]] std::string canonical_login(std::string_view login);

}  // namespace postrider::auth
