#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "libcommon/async/transport_layer.h"
#include "libcommon/tls/openssl.h"

namespace postrider::tls {

/// TLS on one socket, whichever side it is. What makes it a server's or a client's is its OpenSSL session.
class Layer : public async::TransportLayer {
  public:
    /// Tells the peer that nothing more will come, if the socket takes it at once.
    ~Layer() override;

    [[nodiscard]] Result<Progress> handshake() override;
    [[nodiscard]] Result<Progress> read(char* to, std::size_t room) override;
    [[nodiscard]] Result<Progress> write(std::string_view data) override;
    [[nodiscard]] bool silent() override;

  protected:
    enum class Side { Server, Client };

    /// `context` is kept as long as the session, which may need what it owns. `socket` is non-blocking,
    /// borrowed, and outlives the layer. Throws std::bad_alloc, also where there is no session.
    Layer(std::shared_ptr<const void> context, SessionHandle session, int socket, Side side);

    [[nodiscard]] SSL* session() const { return session_.get(); }

  private:
    struct SocketBio;

    /// What an operation that returned `result` ended with. Error: the session is broken.
    Result<Progress> outcome(int result);

    std::shared_ptr<const void> context_;  // before session_, which needs it to its end
    SessionHandle session_;
    int socket_;
    bool established_ = false;
    bool broken_ = false;
    bool ended_ = false;    // the socket was read to its end
    bool drained_ = false;  // the last read of the socket took all there was
};

}  // namespace postrider::tls
