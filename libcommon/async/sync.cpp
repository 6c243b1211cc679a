#include "libcommon/async/sync.h"

#include <event2/event.h>
#include <sys/time.h>

#include <algorithm>
#include <new>

namespace postrider::async {

TimedWait::~TimedWait() {
    if (timer_ != nullptr) event_free(timer_);
}

void TimedWait::await_suspend(std::coroutine_handle<> waiting) {
    waiter_.coroutine = waiting;
    if (!deadline_) return;
    timer_ = event_new(loop_.base(), -1, 0, &TimedWait::fired, this);
    if (timer_ == nullptr) throw std::bad_alloc();
    auto left = std::chrono::duration_cast<std::chrono::microseconds>(*deadline_ - loop_.now());
    left = std::max(left, std::chrono::microseconds(0));
    timeval tv{};
    tv.tv_sec = static_cast<time_t>(left.count() / 1'000'000);
    tv.tv_usec = static_cast<suseconds_t>(left.count() % 1'000'000);
    event_add(timer_, &tv);
}

void TimedWait::fired(int, short, void* self) {
    auto* wait = static_cast<TimedWait*>(self);
    // Out of whatever list it waits in: nobody may wake it a second time.
    wait->waiter_.unlink();
    wait->waiter_.coroutine.resume();
}

Task<void> next_turn(Loop& loop) {
    TimedWait turn(loop, std::nullopt);
    loop.wake(turn.waiter());
    co_await turn;
}

Task<bool> Condition::wait(Deadline deadline) {
    struct HandOn {
        ~HandOn() {
            if (wait.wake_up_lost()) condition.notify_one();
        }
        TimedWait& wait;
        Condition& condition;
    };
    TimedWait wait(loop_, deadline);
    HandOn hand_on{wait, *this};
    waiters_.push_back(wait.waiter());
    co_return co_await wait;
}

void Condition::notify_one() {
    if (!waiters_.empty()) loop_.wake(waiters_.front());
}

void Condition::notify_all() {
    while (!waiters_.empty())
        loop_.wake(waiters_.front());
}

Task<bool> Semaphore::acquire(Deadline deadline) {
    while (places_ == 0) {
        bool notified = co_await freed_.wait(deadline);
        if (!notified && places_ == 0) co_return false;
    }
    --places_;
    co_return true;
}

void Semaphore::release() {
    ++places_;
    freed_.notify_one();
}

}  // namespace postrider::async
