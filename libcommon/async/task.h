#pragma once

#include <coroutine>
#include <cstdlib>
#include <exception>
#include <optional>
#include <utility>

namespace postrider::async {

template <typename T>
class Task;

namespace detail {

/// What every Task's promise has: the coroutine that waits for it, and the exception that ended it.
class PromiseBase {
  public:
    std::suspend_always initial_suspend() noexcept { return {}; }

    struct FinalAwaiter {
        bool await_ready() noexcept { return false; }
        // Not inlined: the resumed parent may destroy this very frame, so nothing of the awaiter may live in
        // it.
        template <typename Promise>
        [[gnu::noinline]] void await_suspend(std::coroutine_handle<Promise> ended) noexcept {
            std::coroutine_handle<> continuation = ended.promise().continuation_;
            if (continuation) continuation.resume();
        }
        void await_resume() noexcept {}
    };
    FinalAwaiter final_suspend() noexcept { return {}; }

    void unhandled_exception() noexcept { exception_ = std::current_exception(); }

    void set_continuation(std::coroutine_handle<> continuation) { continuation_ = continuation; }
    void rethrow_if_failed() {
        if (exception_) std::rethrow_exception(std::exchange(exception_, nullptr));
    }

  private:
    std::coroutine_handle<> continuation_;
    std::exception_ptr exception_;
};

template <typename T>
class Promise : public PromiseBase {
  public:
    Task<T> get_return_object();
    template <typename U>
    void return_value(U&& value) {
        value_.emplace(std::forward<U>(value));
    }
    T take() {
        rethrow_if_failed();
        return std::move(*value_);
    }

  private:
    std::optional<T> value_;
};

template <>
class Promise<void> : public PromiseBase {
  public:
    Task<void> get_return_object();
    void return_void() {}
    void take() { rethrow_if_failed(); }
};

}  // namespace detail

/// A coroutine that has not started yet, or is suspended somewhere inside. It starts when it is awaited, and
/// it owns its frame: destroying the Task destroys the locals of the coroutine and of all it awaits, which is
/// how a task is cancelled. It is awaited once.
///
/// The child is resumed on the awaiting coroutine's stack and await_suspend returns bool instead of using
/// symmetric transfer: in debug and sanitizer builds symmetric transfer grows the stack with every await of a
/// child that is ready at once, such as reading a buffered line.
template <typename T = void>
class [[nodiscard]] Task {
  public:
    using promise_type = detail::Promise<T>;
    using Handle = std::coroutine_handle<promise_type>;

    Task() = default;
    explicit Task(Handle handle) : handle_(handle) {}
    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
    Task& operator=(Task&& other) noexcept {
        if (this != &other) {
            if (handle_) handle_.destroy();
            handle_ = std::exchange(other.handle_, {});
        }
        return *this;
    }
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    ~Task() {
        if (handle_) handle_.destroy();
    }

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> parent) {
        handle_.resume();
        if (handle_.done()) return false;
        handle_.promise().set_continuation(parent);
        return true;
    }
    T await_resume() { return handle_.promise().take(); }

  private:
    Handle handle_;
};

template <typename T>
Task<T> detail::Promise<T>::get_return_object() {
    return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}

inline Task<void> detail::Promise<void>::get_return_object() {
    return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

}  // namespace postrider::async
