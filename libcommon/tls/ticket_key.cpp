#include "libcommon/tls/ticket_key.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <stdexcept>

namespace postrider::tls {

TicketKey::~TicketKey() {
    OPENSSL_cleanse(octets_.data(), octets_.size());
}

std::optional<TicketKey> TicketKey::from_octets(std::string_view octets) {
    if (octets.size() != kSize) return std::nullopt;
    TicketKey key;
    octets.copy(key.octets_.data(), kSize);
    return key;
}

TicketKey TicketKey::random() {
    TicketKey key;
    if (RAND_priv_bytes(reinterpret_cast<unsigned char*>(key.octets_.data()), static_cast<int>(kSize)) != 1) {
        throw std::runtime_error("OpenSSL has no random numbers");
    }
    return key;
}

}  // namespace postrider::tls
