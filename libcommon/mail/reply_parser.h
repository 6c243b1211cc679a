#pragma once

#include <optional>
#include <string_view>

#include "libcommon/base/result.h"
#include "libcommon/mail/reply.h"

namespace postrider::mail {

/// Puts the replies of a remote server together from their lines. One parser serves a connection, one reply
/// after the other. After an error the dialogue has lost its order and the connection has to be closed.
class ReplyParser {
  public:
    /// Takes the next line, given without its line end. Returns the reply when this line was its last one,
    /// else nothing. The text of the reply is printable UTF-8. An enhanced code is taken out of the text if
    /// its class is that of the reply (RFC 2034 4). Error: Temporary; no reply code, a code that differs from
    /// the one of the line before, a line longer or a reply with more lines than we accept.
    [[nodiscard]] Result<std::optional<Reply>> feed(std::string_view line);

    /// Whether a reply has begun and is not complete.
    [[nodiscard]] bool in_reply() const { return reply_.has_value(); }

  private:
    std::optional<Reply> reply_;
};

}  // namespace postrider::mail
