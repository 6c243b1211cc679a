#pragma once

#include <memory>
#include <string>

#include "libcommon/async/stream.h"
#include "libcommon/tls/layer.h"
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
class ServerLayer : public Layer {
  public:
    /// `socket` is non-blocking, borrowed, and outlives the layer. Throws std::bad_alloc.
    ServerLayer(const std::shared_ptr<const ServerContext>& context, int socket);

    /// Of use after the handshake.
    [[nodiscard]] Facts facts() const;
};

/// Makes the handshake with the client of `stream`, which is encrypted from then on. Errors as for
/// Stream::encrypt.
[[nodiscard]] async::Task<Result<Facts>> accept(async::Stream& stream,
                                                std::shared_ptr<const ServerContext> context,
                                                async::Deadline deadline);

}  // namespace postrider::tls
