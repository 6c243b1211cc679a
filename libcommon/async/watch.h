#pragma once

#include "libcommon/async/loop.h"

namespace postrider::async {

/// What ended a wait for a descriptor.
enum class Ready { Yes, TimedOut };

/// Waits for a descriptor, which it does not own: destroy the Watch before the descriptor is closed, because
/// a copy of it in another process would keep it in our epoll set. One waiter a direction at a time.
///
/// Each direction has one event that stays registered between waits; it is taken out only when it fires while
/// nobody waits. That saves two epoll_ctl calls a wait.
class Watch {
  public:
    Watch(Loop& loop, int descriptor);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    class Wait;
    /// `auto ready = co_await watch.readable(deadline);` Also ends when the peer hangs up or the socket has
    /// an error: the next read tells which.
    [[nodiscard]] Wait readable(Deadline deadline = std::nullopt);
    [[nodiscard]] Wait writable(Deadline deadline = std::nullopt);

  private:
    struct Direction {
        Loop* loop = nullptr;
        event* registered = nullptr;
        bool active = false;
        bool timed = false;
        std::coroutine_handle<> waiting;
        Ready result = Ready::Yes;
    };
    static void fired(int, short what, void* direction);
    Direction& direction(Direction& which, int descriptor, short what);

    Loop& loop_;
    int descriptor_;
    Direction read_;
    Direction write_;
};

class Watch::Wait {
  public:
    Wait(Direction& direction, Deadline deadline) : direction_(direction), deadline_(deadline) {}
    ~Wait();
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting);
    Ready await_resume() const noexcept { return direction_.result; }

  private:
    Direction& direction_;
    Deadline deadline_;
    bool suspended_ = false;
};

}  // namespace postrider::async
