#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "libcommon/base/result.h"

namespace postrider::router {

/// What the placeholders of a reply stand for; empty where it is not known.
struct ReplyFacts {
    std::string_view client;     ///< %i: the client's address
    std::string_view sender;     ///< %s
    std::string_view recipient;  ///< %r
};

/// The reply of a `reject` or `defer` in a policy line.
struct ReplyTemplate {
    std::uint32_t code = 0;  ///< 0: what is usual at the stage of the session
    std::string enhanced;    ///< empty: the same
    std::string text;        ///< with placeholders; empty: the same

    /// Parses `text`, `550 text` or `550 5.7.1 text`. The codes must be permanent ones for a `reject`
    /// (`permanent`) and temporary ones for a `defer`. In the text %i, %s and %r are placeholders, and %% is
    /// a percent sign. Permanent error for anything else.
    [[nodiscard]] static Result<ReplyTemplate> parse(std::string_view reply, bool permanent);

    /// The text with its placeholders filled in. One that would put a control character into the reply
    /// becomes a question mark there: what a client sends must not end a line of the reply.
    [[nodiscard]] std::string filled(const ReplyFacts& facts) const;
};

}  // namespace postrider::router
