#pragma once

#include <cstddef>
#include <cstdint>

#include "libcommon/base/clock.h"
#include "queue-manager/retry.h"

namespace postrider::queue_manager {

/// How many deliveries a destination gets at once, and when it is left alone.
struct HealthSettings {
    unsigned initial_window = 5;
    unsigned max_window = 20;
    unsigned failed_rounds = 1;  ///< rounds of failed connections after which the destination is down
    Milliseconds dead_time{300'000};
    Milliseconds dead_time_max{3'600'000};
};

/// What is known of a destination when places for deliveries are short: the better is served first.
enum class Trust {
    Suspect,   ///< the last connection failed, or all that is known is mail that was deferred before
    Untested,  ///< nothing is known
    Proven     ///< the last connection succeeded
};
constexpr std::size_t kTrusts = 3;

/// The health of one destination. Pure; the scheduler has one for each.
///
///     Up ──(as many failures in a row as its window)──▶ Down ──(dead time over)──▶ one probe
///      ▲                                                 ▲                          │  │
///      └────────────────(any success)────────────────────┼──────────────────────────┘  │
///                                                        └──(failure: twice the time)──┘
///
/// The window grows by one for as many successes as it is wide, and shrinks by one with each failure to
/// connect, so that a destination that gets slow is soon given less.
///
/// One that is only suspected to be down begins with a probe, too: of a large queue that waits for dead
/// hosts, a start learns with one connection to each that they still are.
class Health {
  public:
    explicit Health(const HealthSettings& settings) : settings_(settings), window_(settings.initial_window) {}

    /// Deliveries allowed at once at `now`: 0 while down, 1 for the probe.
    [[nodiscard]] unsigned window(UnixMillis now) const;

    /// Nothing is known but that mail for it was deferred before: it may be down.
    void suspect();
    /// There is other mail for it, too: it may as well be up. Only a suspicion is taken back.
    void clear_suspicion();

    /// A delivery reached the destination, whatever it said to the message. True if it was down before.
    bool succeeded();

    /// No connection could be made. `retry_in`: when the messages would come back anyway; the destination is
    /// not left alone for longer, so that each message keeps its own schedule. True if it is down from now
    /// on.
    bool failed(UnixMillis now, Milliseconds retry_in, const JitterSource& jitter);

    /// Nothing but a probe may go, now or at down_until().
    [[nodiscard]] bool down() const { return down_; }
    /// A connection proved it; not only suspected.
    [[nodiscard]] bool known_down() const { return down_ && times_down_ > 0; }
    /// It is down for no more than a suspicion.
    [[nodiscard]] bool suspected() const { return down_ && times_down_ == 0; }
    /// When the next probe may begin; 0 for one that is suspected. Only while down.
    [[nodiscard]] UnixMillis down_until() const { return down_until_; }
    [[nodiscard]] Trust trust() const;

    /// Nothing is known that would be worth keeping.
    [[nodiscard]] bool pristine() const {
        return (!down_ || suspected()) && !recovered_ && failures_ == 0 &&
               window_ == settings_.initial_window;
    }
    /// When the last failure happened.
    [[nodiscard]] UnixMillis last_failure() const { return last_failure_; }

    /// An administrator wants an attempt now: as if nothing was known.
    void forgive();

    /// Changes how wide the window is at first and at most; what is known stays.
    void set_windows(const HealthSettings& settings);

  private:
    HealthSettings settings_;
    unsigned window_;
    unsigned successes_ = 0;  // since the window last grew
    unsigned failures_ = 0;   // in a row
    unsigned times_down_ = 0;
    bool reached_ = false;    // by the last connection
    bool recovered_ = false;  // after a probe: what waited for it comes now, and is not suspicious any more
    bool down_ = false;
    UnixMillis down_until_ = 0;
    UnixMillis last_failure_ = 0;
};

}  // namespace postrider::queue_manager
