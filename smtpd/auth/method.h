#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "libcommon/async/loop.h"
#include "libcommon/async/task.h"
#include "smtpd/auth/secret.h"

namespace postrider::auth {

/// What a method is to check. Shared, because helper threads may use it longer than who asked waits; it is
/// wiped when the last of them lets go.
struct Credentials {
    std::string login;  ///< as the client gave it
    Secret password;
    std::string client_address;  ///< "192.0.2.1"
    bool tls = false;
};

/// What a method knows of them.
enum class Verdict {
    Accepted,
    Rejected,     ///< the user is known, and may not log in with this password
    UnknownUser,  ///< another method may know him
    Unavailable   ///< cannot be told now
};

struct CheckResult {
    Verdict verdict = Verdict::Unavailable;
    std::string login;   ///< of Accepted: the canonical name
    std::string reason;  ///< for the log
};

/// One `auth` line.
class Method {
  public:
    Method() = default;
    Method(const Method&) = delete;
    Method& operator=(const Method&) = delete;
    virtual ~Method() = default;

    /// For the log: "pam", "passwd_file", "dovecot".
    [[nodiscard]] virtual std::string_view name() const = 0;
    /// Answers at the latest at `deadline` (Unavailable, if it does not know by then).
    virtual async::Task<CheckResult> check(std::shared_ptr<const Credentials> credentials,
                                           async::Deadline deadline) = 0;
};

}  // namespace postrider::auth
