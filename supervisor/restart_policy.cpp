#include "supervisor/restart_policy.h"

#include <algorithm>

namespace postrider::supervisor {

Milliseconds RestartPolicy::delay_after(Milliseconds ran) {
    // A daemon that held out longer than the delay it would earn is not in a crash loop.
    if (ran > next_) next_ = shortest_;
    Milliseconds delay = next_;
    next_ = std::min(next_ * 2, longest_);
    return delay;
}

}  // namespace postrider::supervisor
