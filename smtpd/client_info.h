#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "libcommon/config/network.h"
#include "libcommon/config/settings.h"
#include "libcommon/ipc/router.pb.h"

namespace postrider::smtpd {

/// Who is at the other end of a session.
struct ClientInfo {
    std::uint64_t session = 0;                 ///< the session's number, for the log
    std::optional<config::IpAddress> address;  ///< nothing for a local client
    std::uint16_t port = 0;                    ///< of the client
    std::string local_user;                    ///< of a local client
    std::size_t listener = 0;                  ///< index in Settings::listeners
    std::uint32_t sessions_of_client = 0;      ///< at present, with this one
    config::Load load = config::Load::Normal;  ///< of the suite when it connected

    /// The session's number as it stands in every log line of the session.
    [[nodiscard]] std::string session_text() const;

    /// "192.0.2.1:4321", "[2001:db8::1]:4321", or the local user.
    [[nodiscard]] std::string text() const;

    /// "[192.0.2.1]" for a Received field; empty for a local client.
    [[nodiscard]] std::string literal() const;

    /// What the router is told of it. `name` is the forward-confirmed reverse name.
    [[nodiscard]] wire::Client to_wire(const config::Listener& on, const std::string& name,
                                       const std::string& helo) const;
};

}  // namespace postrider::smtpd
