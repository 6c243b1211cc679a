#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "libcommon/async/watch.h"
#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"

namespace postrider::async {

/// Puts a descriptor into non-blocking mode. Error: Temporary.
[[nodiscard]] Result<void> set_non_blocking(const Fd& descriptor);

/// A connected stream socket with a buffer in each direction. The read buffer is freed while it is empty, so
/// an idle connection costs a few hundred bytes. Owns the socket.
///
/// Errors of all functions are Temporary: the connection is broken, closed by the peer or timed out, and of
/// no further use.
class Stream {
  public:
    /// `socket` is made non-blocking.
    Stream(Loop& loop, Fd socket);

    // ---- reading ----

    /// What was received and not yet consumed.
    [[nodiscard]] std::string_view buffered() const { return std::string_view(input_).substr(consumed_); }
    /// Forgets the first `size` bytes of buffered().
    void consume(std::size_t size);
    void consume_secret(std::size_t size) { consume(size); }

    /// Waits until there is more in buffered() than before; at most about `limit` bytes are ever buffered, so
    /// consume first. False: the peer has closed its side in good order.
    Task<Result<bool>> fill(std::size_t limit, Deadline deadline);

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

    [[nodiscard]] int descriptor() const { return socket_.get(); }
    /// True if the peer has closed, or sent what nobody asked for: an idle connection that cannot be used
    /// again.
    [[nodiscard]] bool stale();

  private:
    enum class Attempt { Done, Again, Closed };
    Result<Attempt> read_some(std::size_t limit);
    Result<Attempt> write_some();

    Fd socket_;
    Watch watch_;  // after socket_: destroyed before it is closed
    std::string input_;
    std::size_t consumed_ = 0;
    bool drained_ = false;  // the last read took all there was: waiting comes before the next attempt
    std::string output_;
    std::size_t sent_ = 0;
};

}  // namespace postrider::async
