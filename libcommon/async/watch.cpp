#include "libcommon/async/watch.h"

#include <event2/event.h>
#include <sys/time.h>

#include <algorithm>
#include <new>

namespace postrider::async {

Watch::Watch(Loop& loop, int descriptor) : loop_(loop), descriptor_(descriptor) {}

Watch::~Watch() {
    if (read_.registered != nullptr) event_free(read_.registered);
    if (write_.registered != nullptr) event_free(write_.registered);
}

Watch::Direction& Watch::direction(Direction& which, int descriptor, short what) {
    if (which.registered == nullptr) {
        which.loop = &loop_;
        which.registered =
            event_new(loop_.base(), descriptor, static_cast<short>(what | EV_PERSIST), &Watch::fired, &which);
        if (which.registered == nullptr) throw std::bad_alloc();
    }
    return which;
}

Watch::Wait Watch::readable(Deadline deadline) {
    return {direction(read_, descriptor_, EV_READ), deadline};
}

Watch::Wait Watch::writable(Deadline deadline) {
    return {direction(write_, descriptor_, EV_WRITE), deadline};
}

void Watch::fired(int, short what, void* which) {
    auto* direction = static_cast<Direction*>(which);
    if (!direction->waiting) {
        // Nobody is interested now; a level-triggered event left in place would fire for ever.
        event_del(direction->registered);
        direction->active = false;
        return;
    }
    direction->result = (what & EV_TIMEOUT) != 0 ? Ready::TimedOut : Ready::Yes;
    std::exchange(direction->waiting, {}).resume();
}

void Watch::Wait::await_suspend(std::coroutine_handle<> waiting) {
    suspended_ = true;
    direction_.waiting = waiting;
    if (deadline_) {
        auto left =
            std::chrono::duration_cast<std::chrono::microseconds>(*deadline_ - direction_.loop->now());
        left = std::max(left, std::chrono::microseconds(0));
        timeval tv{};
        tv.tv_sec = static_cast<time_t>(left.count() / 1'000'000);
        tv.tv_usec = static_cast<suseconds_t>(left.count() % 1'000'000);
        event_add(direction_.registered, &tv);
    } else {
        // A time limit of an earlier wait is still attached to the registered event.
        if (direction_.timed) event_remove_timer(direction_.registered);
        if (!direction_.active) event_add(direction_.registered, nullptr);
    }
    direction_.active = true;
    direction_.timed = deadline_.has_value();
}

Watch::Wait::~Wait() {
    // Cancelled while suspended: the event may stay registered, but must not resume a frame that is gone.
    if (suspended_) direction_.waiting = {};
}

}  // namespace postrider::async
