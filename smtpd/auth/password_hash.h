#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "libcommon/base/result.h"
#include "smtpd/auth/secret.h"

/// Hashed passwords as password files have them.
namespace postrider::auth {

/// A string of crypt(3), with its setting.
struct CryptHash {
    std::string text;
};

/// What a server keeps for SCRAM-SHA-256 (RFC 5802, 3; RFC 7677). All octets, not base64. Who has it can
/// pretend to be the server, but not the client.
struct ScramVerifier {
    unsigned iterations = 0;
    std::string salt;
    std::string stored_key;
    std::string server_key;
};

/// An account whose password never matches: `*` and `!` of shadow(5).
struct NoPassword {};

using PasswordHash = std::variant<CryptHash, ScramVerifier, NoPassword>;

/// Reads `$y$…`, `$7$…`, `$6$…`, `$5$…`, `$2b$…` (also `$2a$`, `$2y$`), with or without one of the schemes
/// {CRYPT}, {SHA512-CRYPT}, {SHA256-CRYPT}, {BLF-CRYPT} in front;
/// `{SCRAM-SHA-256}iterations,salt,storedkey,serverkey` with the last three in base64; and `*`, `!…`. The
/// error, Permanent, never contains the text.
[[nodiscard]] Result<PasswordHash> parse_password_hash(std::string_view text);

/// Whether `password` is the one. Slow on purpose, so never on the loop; compared in constant time.
[[nodiscard]] bool matches(const PasswordHash& hash, const Secret& password);

/// The verifier of a password, which goes through SASLprep (RFC 4013) where it can, as SCRAM clients do it.
/// Slow on purpose.
[[nodiscard]] ScramVerifier make_scram_verifier(const Secret& password, std::string salt,
                                                unsigned iterations);

/// The form that parse_password_hash() reads.
[[nodiscard]] std::string to_text(const ScramVerifier& verifier);

}  // namespace postrider::auth
