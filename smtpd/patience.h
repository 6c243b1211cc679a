#pragma once

#include <cstddef>

#include "libcommon/base/clock.h"
#include "libcommon/config/limits.h"
#include "libcommon/ipc/router.pb.h"

namespace postrider::smtpd {

/// How much nonsense a session may still send. Errors are answered more and more slowly and then end the
/// session; so does a long run of commands that bring no mail. A message that was accepted makes up for all.
class Patience {
  public:
    /// Takes errors_before_delay, errors_before_drop, error_delay, error_delay_max, session_refusals and
    /// non_mail_commands.
    Patience(const config::Limits& limits, config::Load load);

    /// Counts a refused command, or several at once for one that no mail program sends by mistake.
    void count_errors(std::size_t errors);

    /// Counts NOOP, RSET, VRFY and the like.
    void count_non_mail_command();

    /// Counts a refusal that is no error of the client: a temporary one, or one that follows from another.
    void count_excused_refusal();

    /// A message was taken over.
    void reset();

    /// Whether the session is to be ended.
    [[nodiscard]] bool exhausted() const;

    /// Makes every refusal take longer than the one before; all zero: only errors do, in their own way.
    void set_tarpit(const wire::Tarpit& tarpit) { tarpit_ = tarpit; }

    /// How long to wait before a refusal is answered, counting it. With a tarpit, what that says. Without, an
    /// `error` waits: nothing at first, then error_delay, doubling.
    [[nodiscard]] Milliseconds delay_of_refusal(bool error);

    [[nodiscard]] std::size_t errors() const { return errors_; }

  private:
    [[nodiscard]] Milliseconds error_delay() const;

    std::size_t errors_before_delay_;
    std::size_t errors_before_drop_;
    std::size_t excused_limit_;
    std::size_t non_mail_limit_;
    Milliseconds first_delay_;
    Milliseconds longest_delay_;
    wire::Tarpit tarpit_;
    double tarpit_delay_ms_ = 0;  // of the last refusal
    std::size_t errors_ = 0;
    std::size_t excused_ = 0;
    std::size_t non_mail_ = 0;
};

}  // namespace postrider::smtpd
