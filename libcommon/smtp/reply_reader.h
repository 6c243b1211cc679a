#pragma once

#include <optional>

#include "libcommon/async/loop.h"
#include "libcommon/async/stream.h"
#include "libcommon/async/task.h"
#include "libcommon/base/result.h"
#include "libcommon/mail/reply.h"
#include "libcommon/mail/reply_parser.h"

namespace postrider::smtp {

/// Reads the replies of an SMTP server from a connection, one after the other.
class ReplyReader {
  public:
    /// The stream outlives the reader.
    explicit ReplyReader(async::Stream& stream) : stream_(stream) {}

    /// The next reply. Error: Temporary; the server closed the connection, said nothing until `deadline`, or
    /// sent what is no reply. The dialogue has then lost its order, and the connection is of no further use.
    async::Task<Result<mail::Reply>> read(async::Deadline deadline);

  private:
    Result<std::optional<mail::Reply>> next_buffered();

    async::Stream& stream_;
    mail::ReplyParser parser_;
};

}  // namespace postrider::smtp
