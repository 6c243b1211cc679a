#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/clock.h"
#include "libcommon/base/result.h"
#include "libcommon/tls/certificate.h"
#include "libcommon/tls/openssl.h"
#include "libcommon/tls/ticket_key.h"

namespace postrider::tls {

/// What keyd knows: never changes once made. A change of the files makes another one, and the sessions of the
/// old one keep it.
struct KeyRing {
    /// In the order of the configuration. The first one is for clients that ask for no name or an unknown
    /// one.
    std::vector<std::shared_ptr<const Certificate>> certificates;
    TicketKeys tickets;
    std::vector<CertificateHandle> client_authorities;  ///< whose client certificates are believed
};

/// How TLS is spoken on one listener.
struct ServerOptions {
    std::string endpoint;  ///< tells listeners apart: a session ticket of one is void on the others
    int least_version = TLS1_2_VERSION;
    std::string ciphers;  ///< for TLS 1.2, as in ciphers(1); empty: ours
    bool tickets = true;
    Seconds ticket_lifetime{0};
    bool request_client_certificate = false;
};

/// The server's side of TLS on one listener, with one key ring: TLS 1.2 and 1.3 with forward secrecy and
/// authenticated ciphers only, no compression, no renegotiation, no early data, our order of preference.
class ServerContext {
  public:
    /// Error: Permanent, the options are of no use to OpenSSL (an unknown cipher), or the ring is empty.
    [[nodiscard]] static Result<std::shared_ptr<const ServerContext>> make(
        std::shared_ptr<const KeyRing> ring, const ServerOptions& options);

    /// A new session on it, which must not outlive the context.
    [[nodiscard]] SessionHandle new_session() const { return SessionHandle(SSL_new(handle_.get())); }

    /// The certificates for a name that a client asks for, one for each kind of key; for no name or an
    /// unknown one the first certificate, and those of the same name. An exact name goes before a wildcard.
    [[nodiscard]] std::vector<const Certificate*> certificates_for(std::string_view name) const;

    /// Whether a certificate has this name.
    [[nodiscard]] bool knows(std::string_view name) const;

    [[nodiscard]] const TicketKeys& ticket_keys() const { return ring_->tickets; }

    ServerContext(const ServerContext&) = delete;
    ServerContext& operator=(const ServerContext&) = delete;
    ~ServerContext() = default;

  private:
    ServerContext() = default;
    Result<void> configure(const ServerOptions& options);
    Result<void> limit_protocol(const ServerOptions& options);
    void bind_tickets(const ServerOptions& options);
    Result<void> request_certificates();
    [[nodiscard]] std::vector<const Certificate*> matching(std::string_view name, bool wildcard) const;

    std::shared_ptr<const KeyRing> ring_;
    ContextHandle handle_;
};

}  // namespace postrider::tls
