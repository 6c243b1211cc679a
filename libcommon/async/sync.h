#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "libcommon/async/loop.h"
#include "libcommon/async/scope.h"

namespace postrider::async {

/// One suspension that ends when its waiter() is woken (true) or the deadline passes (false). The building
/// block of everything below.
class TimedWait {
  public:
    TimedWait(Loop& loop, Deadline deadline) : loop_(loop), deadline_(deadline) {}
    ~TimedWait();
    TimedWait(const TimedWait&) = delete;
    TimedWait& operator=(const TimedWait&) = delete;

    /// What Loop::wake takes, and what can be put into a list of waiters.
    [[nodiscard]] Waiter& waiter() { return waiter_; }

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting);
    // Woken and timed out in the same turn of the loop counts as woken, or the wake-up would be lost.
    bool await_resume() noexcept {
        resumed_ = true;
        return waiter_.woken;
    }
    /// Woken, but cancelled before it could run: whoever woke it meant somebody.
    [[nodiscard]] bool wake_up_lost() const { return waiter_.woken && !resumed_; }

  private:
    static void fired(int, short, void* self);
    Loop& loop_;
    Deadline deadline_;
    Waiter waiter_;
    event* timer_ = nullptr;
    bool resumed_ = false;
};

/// `co_await next_turn(loop);` lets all else go on that can, timers and descriptors too, before it resumes.
Task<void> next_turn(Loop& loop);

/// A place to wait for something to change. A waiter looks at the state itself again when it wakes:
/// `while (!ready) { if (!co_await condition.wait(deadline)) ... }`. It outlives its waiters.
class Condition {
  public:
    explicit Condition(Loop& loop) : loop_(loop) {}

    /// True when notified, false when the deadline passed first.
    Task<bool> wait(Deadline deadline = std::nullopt);
    void notify_one();
    void notify_all();

  private:
    Loop& loop_;
    IntrusiveList<Waiter> waiters_;
};

/// A queue between tasks of one loop with a limit: push() fails when it is full, pop() waits.
template <typename T>
class Queue {
  public:
    Queue(Loop& loop, std::size_t limit) : limit_(limit), changed_(loop) {}

    /// False if the queue is full or closed; the value is then lost.
    [[nodiscard]] bool push(T value) {
        if (closed_ || items_.size() >= limit_) return false;
        items_.push_back(std::move(value));
        changed_.notify_one();
        return true;
    }
    /// The oldest value; nullopt when the deadline passed, or when the queue is closed and empty.
    Task<std::optional<T>> pop(Deadline deadline = std::nullopt) {
        while (items_.empty()) {
            if (closed_) co_return std::nullopt;
            bool notified = co_await changed_.wait(deadline);
            if (!notified && items_.empty()) co_return std::nullopt;
        }
        std::optional<T> value(std::move(items_.front()));
        items_.pop_front();
        co_return value;
    }
    /// No more values: whoever waits gets what is left, then nullopt.
    void close() {
        closed_ = true;
        changed_.notify_all();
    }
    [[nodiscard]] std::size_t size() const { return items_.size(); }

  private:
    std::size_t limit_;
    std::deque<T> items_;
    bool closed_ = false;
    Condition changed_;
};

/// A number of places, for bounding how much goes on at once.
class Semaphore {
  public:
    Semaphore(Loop& loop, std::size_t places) : places_(places), freed_(loop) {}

    /// Takes a place; false when the deadline passed first. Give it back with release().
    Task<bool> acquire(Deadline deadline = std::nullopt);
    void release();

  private:
    std::size_t places_;
    Condition freed_;
};

namespace detail {
template <typename T>
Task<void> store_result(Task<T> task, std::optional<T>& result, Condition& done) {
    result = co_await task;
    done.notify_all();
}
}  // namespace detail

/// The result of `task`, or nullopt if it is not there by the deadline, in which case it was cancelled.
template <typename T>
Task<std::optional<T>> with_deadline(Loop& loop, Task<T> task, Deadline deadline) {
    std::optional<T> result;
    Condition done(loop);
    Scope scope(loop);
    scope.spawn(detail::store_result(std::move(task), result, done));
    while (!result) {
        bool notified = co_await done.wait(deadline);
        if (!notified) break;
    }
    co_return std::move(result);
}

}  // namespace postrider::async
