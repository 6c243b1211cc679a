#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "smtpd/auth/method.h"

/// The client's side of Dovecot's authentication protocol, version 1 (doc/auth-protocol.txt of Dovecot):
/// lines of fields that tabs separate. Pure functions; nothing that a server sends can do more than be
/// refused.
namespace postrider::auth {

/// The longest line that is taken from a server.
inline constexpr std::size_t kMaxDovecotLine = 8192;

/// What a line of the server says.
struct DovecotLine {
    enum class Kind {
        Version,  ///< `id` is the major version
        Mech,     ///< `text` is the name of a mechanism
        Done,     ///< end of the handshake
        Ok,       ///< `id` is accepted; `text` is the user
        Fail,     ///< `id` is rejected; `temporary`; `text` is the reason, may be empty
        Cont,     ///< `id` is to go on, which PLAIN never does
        Other     ///< SPID, CUID, COOKIE, and what later versions may add
    };
    Kind kind = Kind::Other;
    std::uint32_t id = 0;
    bool temporary = false;
    std::string text;
};

/// Reads a line without its end. Nothing: it is not one of this protocol.
[[nodiscard]] std::optional<DovecotLine> parse_dovecot_line(std::string_view line);

/// What the client sends first. `process` is told to be unique among the clients.
[[nodiscard]] std::string dovecot_greeting(std::uint32_t process);

/// The request to check `credentials` by PLAIN, as a line with its end.
[[nodiscard]] Secret dovecot_request(std::uint32_t id, const Credentials& credentials);

}  // namespace postrider::auth
