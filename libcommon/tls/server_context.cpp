#include "libcommon/tls/server_context.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace postrider::tls {

namespace {

// Forward secrecy and authenticated encryption; what else TLS 1.2 has is broken or was, and no mail server
// that speaks 1.2 lacks these.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL";
constexpr const char* kGroups = "X25519:P-256:P-384:P-521";
constexpr int kSecurityLevel = 2;  // 112 bits: RSA keys from 2048 on, no SHA-1
constexpr int kChainDepth = 8;     // certificates of a client's chain
// A client that goes on with a session uses the last ticket; more of them would only be sent for nothing.
constexpr std::size_t kTicketsPerSession = 1;

const ServerContext& context_of(const SSL* session) {
    return *static_cast<const ServerContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(session)));
}

std::string asked_name(const SSL* session) {
    const char* name = SSL_get_servername(session, TLSEXT_NAMETYPE_host_name);
    return name != nullptr ? lower_case(name) : std::string();
}

int on_server_name(SSL* session, int* /*alert*/, void* /*argument*/) {
    // An unknown name is no reason to refuse (RFC 6066, 3): mail servers ask for all kinds of names.
    return context_of(session).knows(asked_name(session)) ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

int on_certificate_wanted(SSL* session, void* /*argument*/) {
    for (const Certificate* certificate : context_of(session).certificates_for(asked_name(session))) {
        if (!certificate->use_in(session)) return 0;
    }
    return 1;
}

// The session is made in any case: an unverified certificate only means that the client has no name.
int on_client_certificate(X509_STORE_CTX* verification, void* /*argument*/) {
    if (X509_verify_cert(verification) != 1 && X509_STORE_CTX_get_error(verification) == X509_V_OK) {
        X509_STORE_CTX_set_error(verification, X509_V_ERR_UNSPECIFIED);
    }
    ERR_clear_error();
    return 1;
}

bool start_mac(EVP_MAC_CTX* mac, const TicketKey& key) {
    std::string hmac_key(key.hmac_key());
    std::array<char, 7> digest{"SHA256"};
    const std::array<OSSL_PARAM, 3> parameters{
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, hmac_key.data(), hmac_key.size()),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
        OSSL_PARAM_construct_end()};
    const bool done = EVP_MAC_CTX_set_params(mac, parameters.data()) == 1;
    OPENSSL_cleanse(hmac_key.data(), hmac_key.size());
    return done;
}

const unsigned char* octets_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

int seal_ticket(const TicketKey& key, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                EVP_MAC_CTX* mac) {
    std::memcpy(name, key.name().data(), TicketKey::kNameSize);
    const int iv_size = EVP_CIPHER_get_iv_length(EVP_aes_256_cbc());
    if (RAND_bytes(iv, iv_size) != 1) return -1;
    const bool begun =
        EVP_EncryptInit_ex2(cipher, EVP_aes_256_cbc(), octets_of(key.cipher_key()), iv, nullptr) == 1;
    return begun && start_mac(mac, key) ? 1 : -1;
}

int open_ticket(const TicketKeys& keys, const unsigned char* name, const unsigned char* iv,
                EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) {
    constexpr int kUnknown = 0;
    constexpr int kOpen = 1;
    constexpr int kOpenAndRenew = 2;
    const std::string_view wanted(reinterpret_cast<const char*>(name), TicketKey::kNameSize);
    const bool is_old = keys.old && keys.old->name() == wanted;
    if (!is_old && keys.current.name() != wanted) return kUnknown;
    const TicketKey& key = is_old ? *keys.old : keys.current;
    const bool begun =
        EVP_DecryptInit_ex2(cipher, EVP_aes_256_cbc(), octets_of(key.cipher_key()), iv, nullptr) == 1;
    if (!begun || !start_mac(mac, key)) return -1;
    return is_old ? kOpenAndRenew : kOpen;
}

int on_ticket(SSL* session, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
              int sealing) {
    const TicketKeys& keys = context_of(session).ticket_keys();
    return sealing == 1 ? seal_ticket(keys.current, name, iv, cipher, mac)
                        : open_ticket(keys, name, iv, cipher, mac);
}

}  // namespace

Result<std::shared_ptr<const ServerContext>> ServerContext::make(std::shared_ptr<const KeyRing> ring,
                                                                 const ServerOptions& options) {
    if (ring->certificates.empty()) return permanent("there is no certificate");
    std::shared_ptr<ServerContext> context(new ServerContext());
    context->ring_ = std::move(ring);
    ERR_clear_error();
    context->handle_.reset(SSL_CTX_new(TLS_server_method()));
    if (!context->handle_) return permanent("OpenSSL: " + take_error("out of memory"));
    auto configured = context->configure(options);
    if (!configured) return failure(configured.error());
    return std::shared_ptr<const ServerContext>(std::move(context));
}

Result<void> ServerContext::configure(const ServerOptions& options) {
    SSL_CTX* context = handle_.get();
    SSL_CTX_set_app_data(context, this);
    auto limited = limit_protocol(options);
    if (!limited) return limited;
    // Buffers exist only while there is something in them: an idle session is small. Reading ahead takes the
    // header of a record and its content with one call.
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_tlsext_servername_callback(context, on_server_name);
    SSL_CTX_set_cert_cb(context, on_certificate_wanted, nullptr);
    bind_tickets(options);
    if (options.request_client_certificate) return request_certificates();
    return {};
}

Result<void> ServerContext::limit_protocol(const ServerOptions& options) {
    SSL_CTX* context = handle_.get();
    SSL_CTX_set_security_level(context, kSecurityLevel);
    // The end of a connection without TLS' own notice is an end like any other: SMTP knows by itself where a
    // command and a message are complete.
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                     SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_IGNORE_UNEXPECTED_EOF);
    const char* ciphers = options.ciphers.empty() ? kCiphers : options.ciphers.c_str();
    if (SSL_CTX_set_cipher_list(context, ciphers) != 1) {
        return permanent("no usable cipher: " + take_error(ciphers));
    }
    if (SSL_CTX_set1_groups_list(context, kGroups) != 1 ||
        SSL_CTX_set_min_proto_version(context, options.least_version) != 1) {
        return permanent("OpenSSL: " + take_error("it lacks what TLS needs"));
    }
    return {};
}

void ServerContext::bind_tickets(const ServerOptions& options) {
    SSL_CTX* context = handle_.get();
    // Tickets carry all that is needed to go on, so that any worker can; none keeps a list of sessions.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    // Set also where no ticket is made: OpenSSL then refuses tickets of others instead of client
    // certificates.
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    EVP_Digest(options.endpoint.data(), options.endpoint.size(), digest.data(), &size, EVP_sha256(), nullptr);
    SSL_CTX_set_session_id_context(context, digest.data(), size);
    if (!options.tickets) {
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(context, 0);
        return;
    }
    SSL_CTX_set_num_tickets(context, kTicketsPerSession);
    SSL_CTX_set_timeout(context, static_cast<long>(options.ticket_lifetime.count()));
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
}

Result<void> ServerContext::request_certificates() {
    SSL_CTX* context = handle_.get();
    StoreHandle store(X509_STORE_new());
    for (const CertificateHandle& authority : ring_->client_authorities) {
        // The client learns which authorities we know, and sends no other certificate.
        if (!store || X509_STORE_add_cert(store.get(), authority.get()) != 1 ||
            SSL_CTX_add_client_CA(context, authority.get()) != 1) {
            return permanent("OpenSSL: " + take_error("out of memory"));
        }
    }
    SSL_CTX_set_cert_store(context, store.release());
    SSL_CTX_set_verify_depth(context, kChainDepth);
    SSL_CTX_set_cert_verify_callback(context, on_client_certificate, nullptr);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    return {};
}

std::vector<const Certificate*> ServerContext::matching(std::string_view name, bool wildcard) const {
    std::vector<const Certificate*> found;
    for (const auto& certificate : ring_->certificates) {
        const bool doubled = std::any_of(found.begin(), found.end(), [&](const Certificate* other) {
            return other->key_type() == certificate->key_type();
        });
        if (!doubled && certificate->is_for(name, wildcard)) found.push_back(certificate.get());
    }
    return found;
}

std::vector<const Certificate*> ServerContext::certificates_for(std::string_view name) const {
    std::vector<const Certificate*> found = matching(name, false);
    if (found.empty()) found = matching(name, true);
    if (!found.empty()) return found;
    const auto& names = ring_->certificates.front()->names();
    if (!names.empty()) found = matching(names.front(), false);
    // A pattern of the first line is no exact name of its own.
    if (found.empty()) found.push_back(ring_->certificates.front().get());
    return found;
}

bool ServerContext::knows(std::string_view name) const {
    return !matching(name, false).empty() || !matching(name, true).empty();
}

}  // namespace postrider::tls
