#pragma once

#include <coroutine>
#include <functional>
#include <memory>
#include <optional>

#include "libcommon/async/intrusive_list.h"
#include "libcommon/async/task.h"
#include "libcommon/base/clock.h"

struct event;
struct event_base;

namespace postrider::async {

/// When something must be over; nullopt means never. Made with Loop::after.
using Deadline = std::optional<SteadyTime>;

/// A suspended coroutine that somebody will wake. Lives in the coroutine's frame, so cancelling the coroutine
/// takes it out of whatever list it waits in.
struct Waiter : ListHook {
    std::coroutine_handle<> coroutine;
    bool woken = false;
};

/// The event loop of a process: everything in it runs on one thread. Nothing else in the suite touches
/// libevent but this folder.
class Loop {
  public:
    /// Throws std::runtime_error when the system gives no epoll instance.
    Loop();
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    /// Runs until stop() is called. Can be called again after it has returned.
    void run();
    /// Makes run() return after the current callback.
    void stop();

    [[nodiscard]] SteadyTime now() const { return std::chrono::steady_clock::now(); }
    /// The deadline `duration` from now.
    [[nodiscard]] Deadline after(Milliseconds duration) const { return now() + duration; }

    /// Wakes `waiter` from the loop, not from inside the caller; its coroutine may be cancelled before that.
    void wake(Waiter& waiter);

    [[nodiscard]] event_base* base() const { return base_; }

  private:
    static void run_ready(int, short, void* self);
    event_base* base_;
    event* ready_event_;
    IntrusiveList<Waiter> ready_;
};

/// `co_await Sleep(loop, Milliseconds(50));`
class Sleep {
  public:
    Sleep(Loop& loop, Milliseconds duration);
    ~Sleep();
    Sleep(const Sleep&) = delete;
    Sleep& operator=(const Sleep&) = delete;

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting);
    void await_resume() const noexcept {}

  private:
    static void fired(int, short, void* self);
    Loop& loop_;
    Milliseconds duration_;
    event* timer_ = nullptr;
    std::coroutine_handle<> waiting_;
};

/// A timer that calls `on_fire` on the loop each time it is armed and runs out. Arming again moves it.
class Timer {
  public:
    Timer(Loop& loop, std::function<void()> on_fire);
    ~Timer();
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    void arm(Milliseconds from_now);
    void disarm();

  private:
    static void fired(int, short, void* self);
    event* timer_;
    std::function<void()> on_fire_;
};

/// Calls `on_signal` on the loop whenever the process receives `number`.
class SignalHandler {
  public:
    SignalHandler(Loop& loop, int number, std::function<void()> on_signal);
    ~SignalHandler();
    SignalHandler(const SignalHandler&) = delete;
    SignalHandler& operator=(const SignalHandler&) = delete;

  private:
    static void fired(int, short, void* self);
    event* signal_;
    std::function<void()> on_signal_;
};

}  // namespace postrider::async
