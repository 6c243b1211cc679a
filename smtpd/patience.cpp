#include "smtpd/patience.h"

#include <algorithm>

namespace postrider::smtpd {

using config::Limit;

Patience::Patience(const config::Limits& limits, config::Load load)
    : errors_before_delay_(limits.size(Limit::ErrorsBeforeDelay, load)),
      errors_before_drop_(limits.size(Limit::ErrorsBeforeDrop, load)),
      excused_limit_(limits.size(Limit::SessionRefusals, load)),
      non_mail_limit_(limits.size(Limit::NonMailCommands, load)),
      first_delay_(limits.time(Limit::ErrorDelay, load)),
      longest_delay_(limits.time(Limit::ErrorDelayMax, load)) {}

void Patience::count_errors(std::size_t errors) {
    errors_ += errors;
}

void Patience::count_non_mail_command() {
    ++non_mail_;
}

void Patience::count_excused_refusal() {
    ++excused_;
}

void Patience::reset() {
    errors_ = 0;
    excused_ = 0;
    non_mail_ = 0;
}

bool Patience::exhausted() const {
    return errors_ >= errors_before_drop_ || excused_ > excused_limit_ || non_mail_ > non_mail_limit_;
}

Milliseconds Patience::delay_of_refusal(bool error) {
    if (tarpit_.first_ms() == 0) return error ? error_delay() : Milliseconds(0);
    const double growth = 1.0 + tarpit_.growth_percent() / 100.0;
    const double next = tarpit_delay_ms_ > 0 ? tarpit_delay_ms_ * growth : tarpit_.first_ms();
    const std::uint32_t most = std::max(tarpit_.most_ms(), tarpit_.first_ms());
    tarpit_delay_ms_ = std::min<double>(next, most);
    return Milliseconds(static_cast<std::int64_t>(tarpit_delay_ms_));
}

Milliseconds Patience::error_delay() const {
    if (errors_ <= errors_before_delay_) return Milliseconds(0);
    Milliseconds delay = first_delay_;
    for (std::size_t error = errors_before_delay_ + 1; error < errors_ && delay < longest_delay_; ++error) {
        delay *= 2;
    }
    return std::min(delay, longest_delay_);
}

}  // namespace postrider::smtpd
