#pragma once

#include "smtpd/auth/pam_protocol.h"

namespace postrider::auth {

/// Asks PAM: pam_authenticate(3) and pam_acct_mgmt(3). Runs foreign code, which may wait as long as it likes
/// or never come back, so only in a helper process.
[[nodiscard]] PamReply check_by_pam(const PamRequest& request);

/// Whether there is a file for the service. Without one PAM would take that of the service "other", which
/// refuses everybody, and users would be told that their passwords are wrong.
[[nodiscard]] bool pam_service_exists(const std::string& service);

}  // namespace postrider::auth
