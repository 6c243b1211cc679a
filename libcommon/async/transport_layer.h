#pragma once

#include <cstddef>
#include <string_view>

#include "libcommon/base/result.h"

namespace postrider::async {

/// What encrypts between a Stream and its socket. It reads and writes the socket itself and never waits:
/// where it cannot go on it says for what, and the Stream waits and asks again.
///
/// Errors of all functions are Temporary: the connection is of no further use. The destructor may tell the
/// peer that the connection ends; the Stream destroys its layer before it closes the socket.
class TransportLayer {
  public:
    enum class Outcome {
        Done,       ///< some octets were moved, or the handshake is complete
        WantRead,   ///< nothing can be done before the socket is readable
        WantWrite,  ///< the same, writable: the layer has something of its own to send, even to read
        Closed      ///< read() only: the peer has ended its side
    };
    struct Progress {
        Outcome outcome = Outcome::Done;
        std::size_t size = 0;  ///< octets that were moved
        bool drained = false;  ///< of read(): the socket had no more, so that waiting comes before reading
    };

    TransportLayer() = default;
    TransportLayer(const TransportLayer&) = delete;
    TransportLayer& operator=(const TransportLayer&) = delete;
    virtual ~TransportLayer() = default;

    /// Goes on with the handshake.
    [[nodiscard]] virtual Result<Progress> handshake() = 0;

    /// Decrypts up to `room` octets into `to`.
    [[nodiscard]] virtual Result<Progress> read(char* to, std::size_t room) = 0;

    /// Encrypts and sends a part of `data`, which is not empty. With an outcome other than Done some of it
    /// may have been sent nevertheless; the rest is to be given again.
    [[nodiscard]] virtual Result<Progress> write(std::string_view data) = 0;

    /// Whether the connection is open and the peer has sent nothing that was not read.
    [[nodiscard]] virtual bool silent() = 0;
};

}  // namespace postrider::async
