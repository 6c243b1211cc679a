#pragma once

#include "libcommon/async/loop.h"

namespace postrider::async {

/// Owns tasks that run beside each other. Destroying the scope cancels those that still run; nothing in the
/// suite runs outside a scope. An exception that leaves a spawned task ends the process: remote input never
/// causes one.
class Scope {
  public:
    explicit Scope(Loop& loop) : loop_(loop) {}
    ~Scope() { cancel_all(); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

    /// Starts `task` now, on the caller's stack, up to its first suspension.
    void spawn(Task<void> task);

    /// How many tasks have not ended.
    [[nodiscard]] std::size_t size() const { return size_; }

    /// Waits until no task is left, or until the deadline; true if none is left. One waiter at a time.
    Task<bool> join(Deadline deadline = std::nullopt);

    /// Destroys every task that has not ended. Must not be called from inside one of them.
    void cancel_all();

  private:
    struct Root;
    void ended();

    Loop& loop_;
    IntrusiveList<ListHook> roots_;
    std::size_t size_ = 0;
    Waiter* joiner_ = nullptr;
};

}  // namespace postrider::async
