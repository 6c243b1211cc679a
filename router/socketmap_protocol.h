#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "libcommon/base/result.h"

/// The socketmap protocol, which Sendmail and Postfix (socketmap_table(5)) speak, too: questions and replies
/// are netstrings, one reply for each question.
namespace postrider::router {

/// The question what `map`, a word, has for `key`.
[[nodiscard]] std::string socketmap_question(std::string_view map, std::string_view key);

/// What a server says.
struct SocketmapReply {
    enum class Kind {
        Found,
        NotFound,
        Unavailable,  ///< TEMP, TIMEOUT and PERM: an error, whatever of
    };
    Kind kind = Kind::Unavailable;
    std::string text;      ///< of Found: the value; of Unavailable: the reason
    std::size_t size = 0;  ///< how many octets of the input it is
};

/// The reply that `input` begins with; nullopt if it is not complete yet. Error: this is not the protocol, or
/// the reply is of more than `limit` octets.
[[nodiscard]] Result<std::optional<SocketmapReply>> parse_socketmap_reply(std::string_view input,
                                                                          std::size_t limit);

}  // namespace postrider::router
