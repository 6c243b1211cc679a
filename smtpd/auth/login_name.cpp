#include "smtpd/auth/login_name.h"

#include "libcommon/mail/ascii.h"
#include "libcommon/mail/utf8.h"

namespace postrider::auth {

bool is_login(std::string_view text) {
    return !text.empty() && text.size() <= kMaxLogin && mail::is_printable_utf8(text);
}

bool is_password(std::string_view text) {
    return !text.empty() && text.size() <= kMaxPassword && text.find('\0') == std::string_view::npos;
}

std::string canonical_login(std::string_view login) {
    return mail::to_lower(login);
}

}  // namespace postrider::auth
