#pragma once

#include <optional>

#include "libcommon/async/scope.h"
#include "libcommon/async/sync.h"

namespace postrider::async {

inline Task<void> stop_after(Loop& loop, Task<void> task) {
    co_await task;
    loop.stop();
}

/// Runs `task` to its end on a loop of its own thread, with everything it spawned in its own scopes.
inline void run_to_end(Loop& loop, Task<void> task) {
    Scope scope(loop);
    scope.spawn(stop_after(loop, std::move(task)));
    if (scope.size() > 0) loop.run();
}

}  // namespace postrider::async
