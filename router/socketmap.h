#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libcommon/async/stream.h"
#include "libcommon/async/sync.h"
#include "libcommon/async/task.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/result.h"
#include "router/socketmap_protocol.h"

namespace postrider::router {

/// What a client of a socketmap server may use.
struct SocketmapLimits {
    Milliseconds timeout{10'000};     ///< for one look-up, with its wait for a connection
    std::size_t connections = 4;      ///< at once
    std::size_t waiting = 1'000;      ///< look-ups at once; one more fails
    std::size_t reply_size = 65'536;  ///< octets
};

/// Asks one socketmap server on a local socket (socketmap_protocol.h). Connections are made when they are
/// needed and kept for the next look-up. Belongs to the loop's thread.
class SocketmapClient {
  public:
    /// `path` is that of a stream socket.
    SocketmapClient(async::Loop& loop, std::string path, SocketmapLimits limits);

    /// What `map` has for `key`; nullopt if nothing. Error: Temporary, nobody can tell now.
    async::Task<Result<std::optional<std::string>>> look_up(std::string map, std::string key);

    /// Look-ups that have no answer yet.
    [[nodiscard]] std::size_t waiting() const { return waiting_; }

  private:
    using StreamPointer = std::unique_ptr<async::Stream>;

    // Errors are those of the connection; what the server says of an error is a reply.
    async::Task<Result<SocketmapReply>> ask(std::string question, async::Deadline deadline);
    async::Task<Result<SocketmapReply>> converse(StreamPointer stream, std::string question,
                                                 async::Deadline deadline);

    async::Loop& loop_;
    std::string path_;
    SocketmapLimits limits_;
    async::Semaphore places_;
    std::vector<StreamPointer> idle_;
    std::size_t waiting_ = 0;
};

}  // namespace postrider::router
