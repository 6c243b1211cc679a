#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "libcommon/ipc/queue.pb.h"
#include "remote-delivery/capabilities.h"

namespace postrider::remote_delivery {

/// What MAIL says about a message, beside its sender.
struct MailOptions {
    std::uint64_t size = 0;
    bool eight_bit = false;  ///< declared BODY=8BITMIME when it was taken in
    bool smtputf8 = false;   ///< say SMTPUTF8
    std::string envid;
    std::uint32_t ret = 0;  ///< as in wire::Envelope
};

/// `MAIL FROM:<...>` with the parameters that the server knows, and CRLF.
[[nodiscard]] std::string mail_command(std::string_view sender, const MailOptions& options,
                                       const Capabilities& capabilities);

/// `RCPT TO:<...>` likewise, with NOTIFY and ORCPT (RFC 3461).
[[nodiscard]] std::string rcpt_command(const wire::Delivery& delivery, const Capabilities& capabilities);

/// Whether an address can stand in a command: no control characters, of which a line break would begin a
/// command of somebody else's choice, no angle brackets outside quotes, and not too long. What comes from the
/// queue has been parsed before; this is the last place where it matters. An empty address is fine for
/// senders only.
[[nodiscard]] bool is_sendable(std::string_view address);

}  // namespace postrider::remote_delivery
