#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "admin/sendmail/options.h"
#include "libcommon/base/result.h"

/// What sendmail says to the server of a message. All functions are pure.
namespace postrider::admin {

/// Who sends and who receives, as it can stand in SMTP.
struct Envelope {
    std::string sender;  ///< empty: the null sender
    std::vector<std::string> recipients;
    DsnRequest dsn;
};

/// The address as it stands between the angle brackets of MAIL or RCPT, completed with `host_name` where it
/// has no domain. Error (Permanent): it is none; what is wrong. So whatever a caller gives as an address, it
/// is one address: no line break and no parameter comes along.
[[nodiscard]] Result<std::string> envelope_address(std::string_view text, const std::string& host_name);

/// The extensions a server offers that matter here.
struct Offer {
    bool dsn = false;
    bool eight_bit = false;
    bool utf8 = false;
};

/// Reads the lines of a reply to EHLO, which are joined by LF, each without its code.
[[nodiscard]] Offer read_offer(std::string_view reply);

/// The MAIL command without its line end. `has_eight_bit`: the message has octets beyond ASCII. Error
/// (Permanent): the message takes an extension that the server does not offer.
[[nodiscard]] Result<std::string> mail_command(const Envelope& envelope, bool has_eight_bit,
                                               const Offer& offer);

/// The RCPT command without its line end.
[[nodiscard]] std::string rcpt_command(const std::string& recipient, const DsnRequest& dsn,
                                       const Offer& offer);

}  // namespace postrider::admin
