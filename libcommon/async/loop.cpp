#include "libcommon/async/loop.h"

#include <event2/event.h>
#include <sys/time.h>

#include <stdexcept>

namespace postrider::async {

namespace {

constexpr int kCallbacksBetweenPolls = 256;

timeval to_timeval(Milliseconds duration) {
    if (duration < Milliseconds(0)) duration = Milliseconds(0);
    timeval tv{};
    tv.tv_sec = static_cast<time_t>(duration.count() / 1000);
    tv.tv_usec = static_cast<suseconds_t>((duration.count() % 1000) * 1000);
    return tv;
}

event_base* new_base() {
    event_config* config = event_config_new();
    if (config == nullptr) return nullptr;
    // One thread owns the loop, so libevent need not lock; and no environment variable may steer a daemon.
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
    // Look at the descriptors again after this many callbacks, even while coroutines keep waking each other.
    event_config_set_max_dispatch_interval(config, nullptr, kCallbacksBetweenPolls, 0);
    event_base* base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

}  // namespace

Loop::Loop() : base_(new_base()), ready_event_(nullptr) {
    if (base_ == nullptr) throw std::runtime_error("cannot create the event loop");
    ready_event_ = event_new(base_, -1, 0, &Loop::run_ready, this);
    if (ready_event_ == nullptr) throw std::runtime_error("cannot create the event loop");
}

Loop::~Loop() {
    event_free(ready_event_);
    event_base_free(base_);
}

void Loop::run() {
    event_base_loop(base_, EVLOOP_NO_EXIT_ON_EMPTY);
}

void Loop::stop() {
    event_base_loopbreak(base_);
}

void Loop::wake(Waiter& waiter) {
    if (ready_.empty()) event_active(ready_event_, 0, 0);
    waiter.woken = true;
    ready_.push_back(waiter);
}

void Loop::run_ready(int, short, void* self) {
    auto* loop = static_cast<Loop*>(self);
    // Only what is ready now: a coroutine that wakes another (or itself) must not starve the descriptors.
    IntrusiveList<Waiter> batch;
    batch.take_all(loop->ready_);
    while (!batch.empty()) {
        Waiter& waiter = batch.front();
        waiter.unlink();
        waiter.coroutine.resume();
    }
}

Sleep::Sleep(Loop& loop, Milliseconds duration) : loop_(loop), duration_(duration) {}

Sleep::~Sleep() {
    if (timer_ != nullptr) event_free(timer_);
}

void Sleep::await_suspend(std::coroutine_handle<> waiting) {
    waiting_ = waiting;
    timer_ = event_new(loop_.base(), -1, 0, &Sleep::fired, this);
    if (timer_ == nullptr) throw std::bad_alloc();
    timeval tv = to_timeval(duration_);
    event_add(timer_, &tv);
}

void Sleep::fired(int, short, void* self) {
    static_cast<Sleep*>(self)->waiting_.resume();
}

Timer::Timer(Loop& loop, std::function<void()> on_fire)
    : timer_(event_new(loop.base(), -1, 0, &Timer::fired, this)), on_fire_(std::move(on_fire)) {
    if (timer_ == nullptr) throw std::bad_alloc();
}

Timer::~Timer() {
    event_free(timer_);
}

void Timer::arm(Milliseconds from_now) {
    timeval tv = to_timeval(from_now);
    event_add(timer_, &tv);
}

void Timer::disarm() {
    event_del(timer_);
}

void Timer::fired(int, short, void* self) {
    static_cast<Timer*>(self)->on_fire_();
}

SignalHandler::SignalHandler(Loop& loop, int number, std::function<void()> on_signal)
    : signal_(event_new(loop.base(), number, EV_SIGNAL | EV_PERSIST, &SignalHandler::fired, this)),
      on_signal_(std::move(on_signal)) {
    if (signal_ == nullptr) throw std::bad_alloc();
    event_add(signal_, nullptr);
}

SignalHandler::~SignalHandler() {
    event_free(signal_);
}

void SignalHandler::fired(int, short, void* self) {
    static_cast<SignalHandler*>(self)->on_signal_();
}

}  // namespace postrider::async
