#pragma once

#include <string>
#include <vector>

namespace postrider::tls::test {

/// A certificate and its key in PEM.
struct MadePair {
    std::string chain;
    std::string key;
};

enum class KeyKind { Rsa, Ecdsa };

/// What a certificate says.
struct Wanted {
    std::string common_name;
    std::vector<std::string> names;  ///< subjectAltName
    KeyKind kind = KeyKind::Ecdsa;
    bool authority = false;
    bool expired = false;
};

/// Makes a certificate that signs itself, or that `issuer` signs. Throws std::runtime_error.
[[nodiscard]] MadePair make_certificate(const Wanted& wanted, const MadePair* issuer = nullptr);

}  // namespace postrider::tls::test
