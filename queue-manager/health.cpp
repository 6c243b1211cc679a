#include "queue-manager/health.h"

#include <algorithm>
#include <cmath>

namespace postrider::queue_manager {

namespace {
// 2^10 times any sensible dead time is beyond its maximum.
constexpr unsigned kMaxDoublings = 10;
constexpr double kProbeJitter = 0.1;
// Fewer failures than this in a row prove nothing, however small the window has become.
constexpr unsigned kSmallestRound = 3;
}  // namespace

unsigned Health::window(UnixMillis now) const {
    if (!down_) return window_;
    return now >= down_until_ ? 1 : 0;
}

Trust Health::trust() const {
    if (down_ || failures_ > 0) return Trust::Suspect;
    return reached_ ? Trust::Proven : Trust::Untested;
}

void Health::suspect() {
    down_ = true;
    down_until_ = 0;
    times_down_ = 0;
}

void Health::clear_suspicion() {
    if (suspected()) down_ = false;
}

bool Health::succeeded() {
    const bool was_known_down = known_down();
    const bool was_down = down_;
    failures_ = 0;
    times_down_ = 0;
    reached_ = true;
    down_ = false;
    if (was_down) {
        recovered_ = true;
        window_ = settings_.initial_window;
        successes_ = 0;
        return was_known_down;
    }
    if (++successes_ >= window_ && window_ < settings_.max_window) {
        ++window_;
        successes_ = 0;
    }
    return false;
}

bool Health::failed(UnixMillis now, Milliseconds retry_in, const JitterSource& jitter) {
    last_failure_ = now;
    reached_ = recovered_ = false;
    // A delivery that began before the destination went down tells nothing new.
    if (down_ && now < down_until_) return false;
    ++failures_;
    successes_ = 0;
    if (window_ > 1) --window_;
    if (!down_ && failures_ < settings_.failed_rounds * std::max(window_, kSmallestRound)) return false;

    Milliseconds dead = settings_.dead_time * (1U << std::min(times_down_, kMaxDoublings));
    dead = std::min({dead, settings_.dead_time_max, retry_in});
    double moved = static_cast<double>(dead.count()) * (1.0 + kProbeJitter * jitter());
    // Never later than the message that found out, or its own schedule would slip.
    auto wait = std::min<UnixMillis>(static_cast<UnixMillis>(std::llround(moved)),
                                     static_cast<UnixMillis>(retry_in.count()));
    down_ = true;
    down_until_ = now + wait;
    ++times_down_;
    return true;
}

void Health::forgive() {
    *this = Health(settings_);
}

void Health::set_windows(const HealthSettings& settings) {
    const bool untouched = window_ == settings_.initial_window;
    settings_.initial_window = settings.initial_window;
    settings_.max_window = settings.max_window;
    window_ = untouched ? settings.initial_window : std::min(window_, settings.max_window);
}

}  // namespace postrider::queue_manager
