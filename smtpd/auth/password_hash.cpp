#include "smtpd/auth/password_hash.h"

#include <crypt.h>
#include <fmt/format.h>
#include <gsasl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <array>
#include <charconv>
#include <cstring>
#include <memory>
#include <vector>

#include "libcommon/base/base64.h"
#include "libcommon/base/wipe.h"

namespace postrider::auth {

namespace {

/// A method of crypt(3): how its strings begin, and how long one is at least. Too short a string would be a
/// setting without a hash, or a hash that was cut off when it was copied. The methods that can be guessed in
/// no time (DES, MD5) are not here.
struct CryptKind {
    std::string_view prefix;
    std::size_t hash_length;  // what stands behind the last `$`
};
constexpr std::array kCryptKinds = {CryptKind{"$y$", 43},  CryptKind{"$gy$", 43}, CryptKind{"$7$", 43},
                                    CryptKind{"$6$", 86},  CryptKind{"$5$", 43},  CryptKind{"$2b$", 53},
                                    CryptKind{"$2a$", 53}, CryptKind{"$2y$", 53}};

constexpr std::array<std::string_view, 4> kCryptSchemes = {"CRYPT", "SHA512-CRYPT", "SHA256-CRYPT",
                                                           "BLF-CRYPT"};
constexpr std::string_view kScramScheme = "SCRAM-SHA-256";

/// RFC 7677, 4 demands 4096 at least; above the other bound a file, or whoever writes it, could stop a thread
/// for minutes.
constexpr unsigned kLeastIterations = 4096;
constexpr unsigned kMostIterations = 10'000'000;
constexpr std::size_t kMostSalt = 64;

Result<PasswordHash> parse_crypt(std::string_view text) {
    constexpr std::string_view kAlphabet =
        "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz$=,";
    for (const CryptKind& kind : kCryptKinds) {
        if (!text.starts_with(kind.prefix)) continue;
        if (text.find_first_not_of(kAlphabet) != std::string_view::npos) {
            return permanent("the hash has a character that no hash has");
        }
        const std::string_view hash = text.substr(text.rfind('$') + 1);
        CryptHash result{std::string(text)};
        const bool whole = hash.size() == kind.hash_length && text.size() < CRYPT_OUTPUT_SIZE;
        if (!whole || ::crypt_checksalt(result.text.c_str()) == CRYPT_SALT_INVALID) {
            return permanent(fmt::format("not a complete {} hash of crypt(3)", kind.prefix));
        }
        return PasswordHash(std::move(result));
    }
    return permanent("not a hash of a method that is known: $y$, $7$, $6$, $5$, $2b$");
}

Result<PasswordHash> parse_scram(std::string_view text) {
    std::vector<std::string_view> fields;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t comma = std::min(text.find(',', at), text.size());
        fields.push_back(text.substr(at, comma - at));
        at = comma + 1;
    }
    constexpr std::size_t kFields = 4;
    if (fields.size() != kFields) return permanent("a SCRAM verifier is iterations,salt,storedkey,serverkey");
    ScramVerifier verifier;
    const char* end = fields[0].data() + fields[0].size();
    const auto [rest, error] = std::from_chars(fields[0].data(), end, verifier.iterations);
    if (error != std::errc() || rest != end || verifier.iterations < kLeastIterations ||
        verifier.iterations > kMostIterations) {
        return permanent(
            fmt::format("the iterations must be from {} to {}", kLeastIterations, kMostIterations));
    }
    auto salt = decode_base64(fields[1]);
    auto stored_key = decode_base64(fields[2]);
    auto server_key = decode_base64(fields[3]);
    if (!salt || salt->empty() || salt->size() > kMostSalt) return permanent("the salt is not in base64");
    if (!stored_key || stored_key->size() != SHA256_DIGEST_LENGTH || !server_key ||
        server_key->size() != SHA256_DIGEST_LENGTH) {
        return permanent("a key is not 32 octets in base64");
    }
    verifier.salt = std::move(*salt);
    verifier.stored_key = std::move(*stored_key);
    verifier.server_key = std::move(*server_key);
    return PasswordHash(std::move(verifier));
}

bool crypt_matches(const CryptHash& hash, const Secret& password) {
    // The work area sees the password; 32 KiB are too much for a thread's stack.
    struct Wipe {
        void operator()(crypt_data* data) const {
            ::explicit_bzero(data, sizeof *data);
            delete data;
        }
    };
    const std::unique_ptr<crypt_data, Wipe> work(new crypt_data());
    const char* result = ::crypt_r(password.c_str(), hash.text.c_str(), work.get());
    if (result == nullptr || std::strlen(result) != hash.text.size()) return false;
    return CRYPTO_memcmp(result, hash.text.data(), hash.text.size()) == 0;
}

std::string hmac_sha256(std::string_view key, std::string_view text) {
    std::string digest(SHA256_DIGEST_LENGTH, '\0');
    unsigned size = 0;
    ::HMAC(::EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(),
           reinterpret_cast<unsigned char*>(digest.data()), &size);
    return digest;
}

/// As clients prepare it (RFC 5802, 5.1); a password that SASLprep forbids is taken as it is.
Secret prepared(const Secret& password) {
    char* out = nullptr;
    if (::gsasl_saslprep(password.c_str(), GSASL_ALLOW_UNASSIGNED, &out, nullptr) != GSASL_OK) {
        return Secret(password.view());
    }
    Secret result{std::string_view(out)};
    ::explicit_bzero(out, result.size());
    ::gsasl_free(out);
    return result;
}

bool scram_matches(const ScramVerifier& verifier, const Secret& password) {
    const ScramVerifier own = make_scram_verifier(password, verifier.salt, verifier.iterations);
    return own.stored_key.size() == verifier.stored_key.size() &&
           CRYPTO_memcmp(own.stored_key.data(), verifier.stored_key.data(), own.stored_key.size()) == 0;
}

}  // namespace

Result<PasswordHash> parse_password_hash(std::string_view text) {
    if (text.empty()) return permanent("there is no password hash");
    if (text.front() == '*' || text.front() == '!') return PasswordHash(NoPassword());
    if (text.front() != '{') return parse_crypt(text);
    const std::size_t brace = text.find('}');
    if (brace == std::string_view::npos) return permanent("a scheme without \"}\"");
    const std::string_view scheme = text.substr(1, brace - 1);
    const std::string_view rest = text.substr(brace + 1);
    if (scheme == kScramScheme) return parse_scram(rest);
    for (const std::string_view known : kCryptSchemes) {
        if (scheme == known) return parse_crypt(rest);
    }
    return permanent(
        "the scheme is none of {CRYPT}, {SHA512-CRYPT}, {SHA256-CRYPT}, {BLF-CRYPT}, {SCRAM-SHA-256}");
}

bool matches(const PasswordHash& hash, const Secret& password) {
    if (const auto* crypt_hash = std::get_if<CryptHash>(&hash)) return crypt_matches(*crypt_hash, password);
    if (const auto* verifier = std::get_if<ScramVerifier>(&hash)) return scram_matches(*verifier, password);
    return false;
}

ScramVerifier make_scram_verifier(const Secret& password, std::string salt, unsigned iterations) {
    const Secret text = prepared(password);
    std::string salted(SHA256_DIGEST_LENGTH, '\0');
    ::PKCS5_PBKDF2_HMAC(text.c_str(), static_cast<int>(text.size()),
                        reinterpret_cast<const unsigned char*>(salt.data()), static_cast<int>(salt.size()),
                        static_cast<int>(iterations), ::EVP_sha256(), SHA256_DIGEST_LENGTH,
                        reinterpret_cast<unsigned char*>(salted.data()));
    std::string client_key = hmac_sha256(salted, "Client Key");
    ScramVerifier verifier;
    verifier.iterations = iterations;
    verifier.salt = std::move(salt);
    verifier.server_key = hmac_sha256(salted, "Server Key");
    verifier.stored_key.resize(SHA256_DIGEST_LENGTH);
    ::SHA256(reinterpret_cast<const unsigned char*>(client_key.data()), client_key.size(),
             reinterpret_cast<unsigned char*>(verifier.stored_key.data()));
    wipe(salted);
    wipe(client_key);
    return verifier;
}

std::string to_text(const ScramVerifier& verifier) {
    return fmt::format("{{{}}}{},{},{},{}", kScramScheme, verifier.iterations, encode_base64(verifier.salt),
                       encode_base64(verifier.stored_key), encode_base64(verifier.server_key));
}

}  // namespace postrider::auth
