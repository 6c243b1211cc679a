#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libcommon/config/network.h"

namespace postrider::router {

/// Who is asking to send mail: what smtpd says of a session.
struct Client {
    std::optional<config::IpAddress> address;    ///< empty for a local user
    std::string name;                            ///< forward-confirmed reverse name; empty if there is none
    std::vector<std::string> unconfirmed_names;  ///< further reverse names, good for refusing only
    std::string helo;                            ///< the name it greeted with; empty before it does
    std::string login;                           ///< authenticated or local user
    std::uint16_t port = 0;                      ///< of the listener; 0 for a local user
    bool local = false;                          ///< a user of this host, through sendmail
    bool submission = false;                     ///< it came to a listener for submission
    bool encrypted = false;                      ///< the session is under TLS
    bool begins_session = false;                 ///< it has just connected
};

}  // namespace postrider::router
