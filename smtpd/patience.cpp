#include "smtpd/patience.h"

#include <algorithm>

namespace postrider::smtpd {

using config::Limit;

Patience::Patience(const config::Limits& limits, config::Load load)
    : errors_before_delay_(limits.size(Limit::ErrorsBeforeDelay, load)),
      errors_before_drop_(limits.size(Limit::ErrorsBeforeDrop, load)),
      non_mail_limit_(limits.size(Limit::NonMailCommands, load)),
      first_delay_(limits.time(Limit::ErrorDelay, load)),
      longest_delay_(limits.time(Limit::ErrorDelayMax, load)) {}

void Patience::count_errors(std::size_t errors) {
    errors_ += errors;
}

void Patience::count_non_mail_command() {
    ++non_mail_;
}

void Patience::reset() {
    errors_ = 0;
    non_mail_ = 0;
}

bool Patience::exhausted() const {
    return errors_ >= errors_before_drop_ || non_mail_ > non_mail_limit_;
}

Milliseconds Patience::delay() const {
    if (errors_ <= errors_before_delay_) return Milliseconds(0);
    Milliseconds delay = first_delay_;
    for (std::size_t error = errors_before_delay_ + 1; error < errors_ && delay < longest_delay_; ++error) {
        delay *= 2;
    }
    return std::min(delay, longest_delay_);
}

}  // namespace postrider::smtpd
