#include "libcommon/tls/openssl.h"

#include <openssl/err.h>
#include <openssl/rand.h>

#include <array>
#include <stdexcept>

namespace postrider::tls {

void prepare_library() {
    constexpr std::uint64_t kOptions =
        OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS;
    std::array<unsigned char, 16> random{};
    // The first octets seed the generator; later it asks the kernel by getrandom() alone.
    if (OPENSSL_init_ssl(kOptions, nullptr) != 1 || RAND_bytes(random.data(), random.size()) != 1 ||
        RAND_priv_bytes(random.data(), random.size()) != 1) {
        throw std::runtime_error("OpenSSL: " + take_error("cannot be started"));
    }
}

std::string take_error(const char* otherwise) {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    if (code == 0) return otherwise;
    if (ERR_SYSTEM_ERROR(code)) return "system error " + std::to_string(ERR_GET_REASON(code));
    const char* reason = ERR_reason_error_string(code);
    return reason != nullptr ? reason : otherwise;
}

}  // namespace postrider::tls
