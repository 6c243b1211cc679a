#pragma once

#include <string>
#include <utility>

#include "libcommon/mail/reply.h"

namespace postrider::smtpd {

/// A reply of one line.
[[nodiscard]] inline mail::Reply make_reply(mail::ReplyCode code, mail::EnhancedCode enhanced,
                                            std::string text) {
    return mail::Reply{code, enhanced, {std::move(text)}};
}

}  // namespace postrider::smtpd
