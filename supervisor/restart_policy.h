#pragma once

#include "libcommon/base/clock.h"

namespace postrider::supervisor {

/// When a daemon that ended is started again. One that ran for a while comes back after the shortest delay;
/// one that ends soon after its start again and again is given up for longer and longer, so that a daemon
/// which cannot run does not take the machine's time. No I/O and no clock: unit-tested with plain numbers.
class RestartPolicy {
  public:
    /// Delays from `shortest`, doubling up to `longest`.
    RestartPolicy(Milliseconds shortest, Milliseconds longest)
        : shortest_(shortest), longest_(longest), next_(shortest) {}

    /// The daemon ended after running for `ran`; how long to wait before starting it.
    [[nodiscard]] Milliseconds delay_after(Milliseconds ran);

  private:
    Milliseconds shortest_;
    Milliseconds longest_;
    Milliseconds next_;
};

}  // namespace postrider::supervisor
