#pragma once

#include <string>
#include <string_view>

#include "libcommon/base/clock.h"

namespace postrider::smtpd {

/// What a `Received:` field tells about the way of a message into the suite.
struct Trace {
    std::string helo;            ///< as the client said it, any octets
    std::string client_name;     ///< forward-confirmed, or empty
    std::string client_literal;  ///< "[192.0.2.1]"; empty for a local client
    std::string local_user;      ///< of a local client
    bool hidden = false;         ///< nothing is told about the client but that it has logged in
    std::string tls;             ///< "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty if not encrypted
    std::string hostname;        ///< ours
    std::string protocol;        ///< "SMTP", "ESMTP" (RFC 3848)
    std::string queue_id;
    std::string
        recipient;  ///< of a message with a single recipient, else empty: others must not be disclosed
    UnixMillis time = 0;
};

/// The `Received:` field of RFC 5321, 4.4, folded, CRLF at its end.
[[nodiscard]] std::string received_header(const Trace& trace);

}  // namespace postrider::smtpd
