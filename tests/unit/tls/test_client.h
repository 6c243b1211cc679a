#pragma once

#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "libcommon/base/fd.h"
#include "libcommon/tls/openssl.h"
#include "tests/unit/tls/test_certificates.h"

namespace postrider::tls::test {

/// How a client speaks TLS.
struct ClientOptions {
    int version = 0;          ///< the only one; 0: the best
    std::string server_name;  ///< SNI
    std::string ciphers;      ///< of TLS 1.2
    std::optional<MadePair> certificate;
    SSL_SESSION* resume = nullptr;
};

struct SavedSessionReleaser {
    void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using SavedSession = std::unique_ptr<SSL_SESSION, SavedSessionReleaser>;

/// A TLS client of OpenSSL's own making on a blocking socket, to be used in a thread beside the server's
/// loop.
class TestClient {
  public:
    TestClient(Fd socket, const ClientOptions& options);

    /// Whether the handshake was made.
    [[nodiscard]] bool connect();
    [[nodiscard]] bool send(std::string_view text);
    /// Exactly `size` octets, or fewer at the end.
    [[nodiscard]] std::string receive(std::size_t size);
    /// Tells the server that nothing more will come.
    void end_output();
    /// What can be resumed. Under TLS 1.3 it arrives with the first octets received.
    [[nodiscard]] SavedSession session() const { return SavedSession(SSL_get1_session(session_.get())); }

    [[nodiscard]] bool resumed() const { return SSL_session_reused(session_.get()) == 1; }
    /// Common name of the server's certificate; empty if it sent none, as in a resumed session.
    [[nodiscard]] std::string server_common_name() const;
    [[nodiscard]] int server_key_type() const;
    [[nodiscard]] std::string channel_binding() const;
    [[nodiscard]] SSL* handle() const { return session_.get(); }

  private:
    Fd socket_;
    ContextHandle context_;
    SessionHandle session_;
};

}  // namespace postrider::tls::test
