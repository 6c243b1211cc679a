#pragma once

#include <cstddef>

#include "libcommon/base/clock.h"
#include "libcommon/config/limits.h"

namespace postrider::smtpd {

/// How much nonsense a session may still send. Errors are answered more and more slowly and then end the
/// session; so does a long run of commands that bring no mail. A message that was accepted makes up for all.
class Patience {
  public:
    /// Takes errors_before_delay, errors_before_drop, error_delay, error_delay_max and non_mail_commands.
    Patience(const config::Limits& limits, config::Load load);

    /// Counts a refused command, or several at once for one that no mail program sends by mistake.
    void count_errors(std::size_t errors);

    /// Counts NOOP, RSET, VRFY and the like.
    void count_non_mail_command();

    /// A message was taken over.
    void reset();

    /// Whether the session is to be ended.
    [[nodiscard]] bool exhausted() const;

    /// How long to wait before an error is answered: nothing at first, then error_delay, doubling.
    [[nodiscard]] Milliseconds delay() const;

    [[nodiscard]] std::size_t errors() const { return errors_; }

  private:
    std::size_t errors_before_delay_;
    std::size_t errors_before_drop_;
    std::size_t non_mail_limit_;
    Milliseconds first_delay_;
    Milliseconds longest_delay_;
    std::size_t errors_ = 0;
    std::size_t non_mail_ = 0;
};

}  // namespace postrider::smtpd
