#pragma once

#include <memory>
#include <string>

#include "libcommon/async/stream.h"
#include "libcommon/async/transport_layer.h"
#include "libcommon/tls/openssl.h"
#include "libcommon/tls/server_context.h"

namespace postrider::tls {

/// What a handshake has settled.
struct Facts {
    std::string version;          ///< "TLSv1.3"
    std::string cipher;           ///< OpenSSL's name: "TLS_AES_256_GCM_SHA384"
    std::string server_name;      ///< that the client asked for, empty if none
    std::string client_subject;   ///< of a verified client certificate, as in RFC 4514; empty if none
    std::string channel_binding;  ///< tls-exporter (RFC 9266), 32 octets; empty before TLS 1.3
    bool resumed = false;         ///< by a session ticket
};

/// The server's side of TLS on one socket. The context, and with it the keys, live as long as the session.
class ServerLayer : public async::TransportLayer {
  public:
    /// `socket` is non-blocking, borrowed, and outlives the layer. Throws std::bad_alloc.
    ServerLayer(std::shared_ptr<const ServerContext> context, int socket);

    /// Tells the client that nothing more will come, if the socket takes it at once.
    ~ServerLayer() override;

    [[nodiscard]] Result<Progress> handshake() override;
    [[nodiscard]] Result<Progress> read(char* to, std::size_t room) override;
    [[nodiscard]] Result<Progress> write(std::string_view data) override;
    [[nodiscard]] bool silent() override;

    /// Of use after the handshake.
    [[nodiscard]] Facts facts() const;

  private:
    struct SocketBio;

    /// What an operation that returned `result` ended with. Error: the session is broken.
    Result<Progress> outcome(int result);

    std::shared_ptr<const ServerContext> context_;  // before session_, which needs it to its end
    SessionHandle session_;
    int socket_;
    bool established_ = false;
    bool broken_ = false;
    bool ended_ = false;    // the socket was read to its end
    bool drained_ = false;  // the last read of the socket took all there was
};

/// Makes the handshake with the client of `stream`, which is encrypted from then on. Errors as for
/// Stream::encrypt.
[[nodiscard]] async::Task<Result<Facts>> accept(async::Stream& stream,
                                                std::shared_ptr<const ServerContext> context,
                                                async::Deadline deadline);

}  // namespace postrider::tls
