#pragma once

#include <optional>
#include <utility>

#include "libcommon/async/scope.h"

namespace postrider::admin {

namespace detail {
template <typename T>
async::Task<void> store_and_stop(async::Loop& loop, async::Task<T> task, std::optional<T>& result) {
    result = co_await task;
    loop.stop();
}
}  // namespace detail

/// Runs `task` to its end and returns its result: a command has one thing to do.
template <typename T>
[[nodiscard]] T run_to_end(async::Loop& loop, async::Task<T> task) {
    std::optional<T> result;
    async::Scope scope(loop);
    scope.spawn(detail::store_and_stop(loop, std::move(task), result));
    if (!result) loop.run();
    return std::move(*result);
}

}  // namespace postrider::admin
