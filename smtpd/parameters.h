#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "libcommon/ipc/envelope.pb.h"
#include "smtpd/verdict.h"

/// What the ESMTP parameters of MAIL and RCPT say, apart from any session.
namespace postrider::smtpd {

/// Which extensions' parameters are known here. A parameter of one that is not offered is unknown.
struct KnownExtensions {
    bool dsn = true;       ///< RET, ENVID, NOTIFY, ORCPT (RFC 3461)
    bool chunking = true;  ///< BODY=BINARYMIME (RFC 3030)
    bool auth = false;     ///< AUTH= of MAIL (RFC 4954, 5)
};

/// The parameters of MAIL.
struct MailParameters {
    std::optional<std::uint64_t> size;  ///< SIZE= (RFC 1870)
    wire::Envelope::Body body = wire::Envelope::SEVENBIT;
    bool smtputf8 = false;
    std::string envid;      ///< decoded
    std::uint32_t ret = 0;  ///< as wire::Envelope::ret
};

/// The parameters of RCPT.
struct RcptParameters {
    std::uint32_t notify = 0;  ///< as wire::Recipient::notify
    std::string orcpt;         ///< "rfc822;user@example.org", decoded
};

/// Reads what stands behind the path. The error is the refusal: 501 5.5.4 for a bad value, 555 5.5.4 for a
/// parameter that is not known.
[[nodiscard]] tl::expected<MailParameters, Verdict> read_mail_parameters(std::string_view text,
                                                                         const KnownExtensions& known);
[[nodiscard]] tl::expected<RcptParameters, Verdict> read_rcpt_parameters(std::string_view text,
                                                                         const KnownExtensions& known);

}  // namespace postrider::smtpd
