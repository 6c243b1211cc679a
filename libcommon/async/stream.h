#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "libcommon/async/transport_layer.h"
#include "libcommon/async/watch.h"
#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"

namespace postrider::async {

/// Puts a descriptor into non-blocking mode. Error: Temporary.
[[nodiscard]] Result<void> set_non_blocking(const Fd& descriptor);

/// A connected stream socket with a buffer in each direction. The read buffer is freed while it is empty, so
/// an idle connection costs a few hundred bytes. Owns the socket. Everything works the same in clear text and
/// encrypted.
///
/// Errors of all functions are Temporary: the connection is broken, closed by the peer or timed out, and, but
/// after a time-out of fill(), of no further use.
class Stream {
  public:
    /// `socket` is made non-blocking.
    Stream(Loop& loop, Fd socket);

    // ---- reading ----

    /// What was received and not yet consumed.
    [[nodiscard]] std::string_view buffered() const { return std::string_view(input_).substr(consumed_); }
    /// Forgets the first `size` bytes of buffered().
    void consume(std::size_t size);
    /// The same for a password: the octets are wiped out of the memory, with every copy that reading made.
    void consume_secret(std::size_t size);

    /// Waits until there is more in buffered() than before; at most about `limit` bytes are ever buffered, so
    /// consume first. False: the peer has closed its side in good order.
    Task<Result<bool>> fill(std::size_t limit, Deadline deadline);

    /// Whether the last fill() or flush() ended because its deadline had come: the connection is quiet, not
    /// broken, and still of use. libevent's clock is coarse, so this may be some milliseconds early.
    [[nodiscard]] bool timed_out() const { return timed_out_; }

    /// If a whole line is buffered: its length without CRLF; consume it with consume(length + 2).
    /// Only CRLF ends a line.
    [[nodiscard]] static std::size_t find_line(std::string_view text);
    static constexpr std::size_t kNoLine = static_cast<std::size_t>(-1);

    // ---- writing ----

    /// Appends to the output buffer; nothing is sent before flush().
    void put(std::string_view data) { output_.append(data); }
    [[nodiscard]] bool has_output() const { return !output_.empty(); }
    /// Sends the output buffer.
    Task<Result<void>> flush(Deadline deadline);

    // ---- encryption ----

    /// Makes the handshake of `layer` and sends everything through it from then on. There must be no output,
    /// and an error is the answer to input in clear text that was not consumed: taken for encrypted, it would
    /// let anybody between us and the peer put commands into its mouth. Also an error: a layer is there
    /// already.
    Task<Result<void>> encrypt(std::unique_ptr<TransportLayer> layer, Deadline deadline);
    [[nodiscard]] bool encrypted() const { return layer_ != nullptr; }

    [[nodiscard]] int descriptor() const { return socket_.get(); }
    /// True if the peer has closed, or sent what nobody asked for: an idle connection that cannot be used
    /// again.
    [[nodiscard]] bool stale();

  private:
    enum class Attempt { Done, Again, Closed };
    // What to wait for before the next attempt.
    enum class Need : std::uint8_t { Nothing, Read, Write };
    Result<Attempt> read_some(std::size_t limit);
    Result<std::size_t> read_socket(char* to, std::size_t room, Attempt& attempt);
    Result<std::size_t> read_layer(char* to, std::size_t room, Attempt& attempt);
    void append_input(std::string_view data);
    Result<Need> write_some();
    Result<Need> write_layer(std::string_view rest);
    Watch::Wait wait_for(Need need, Deadline deadline);

    Fd socket_;
    Watch watch_;                            // after socket_: destroyed before it is closed
    std::unique_ptr<TransportLayer> layer_;  // the same; empty in clear text
    std::string input_;
    std::size_t consumed_ = 0;
    Need read_need_ = Need::Nothing;  // Read: the last read took all there was
    bool timed_out_ = false;
    std::string output_;
    std::size_t sent_ = 0;
};

}  // namespace postrider::async
