#include "libcommon/async/scope.h"

#include <exception>

#include "libcommon/async/sync.h"

namespace postrider::async {

/// The outermost coroutine of a spawned task: it has no parent, and destroys itself when it ends.
struct Scope::Root {
    struct promise_type : ListHook {
        // The promise is constructed with the coroutine's arguments, which tells it its scope.
        promise_type(Scope& scope_in, Task<void>&) : scope(scope_in) {}
        ~promise_type() {
            unlink();
            scope.ended();
        }
        Root get_return_object() { return Root{std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_always initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
        Scope& scope;
    };
    std::coroutine_handle<promise_type> handle;

    static Root run(Scope& scope, Task<void> task) {
        static_cast<void>(scope);
        co_await task;
    }
};

void Scope::spawn(Task<void> task) {
    Root root = Root::run(*this, std::move(task));
    ++size_;
    roots_.push_back(root.handle.promise());
    root.handle.resume();
}

void Scope::ended() {
    --size_;
    if (size_ == 0 && joiner_ != nullptr) loop_.wake(*std::exchange(joiner_, nullptr));
}

Task<bool> Scope::join(Deadline deadline) {
    while (size_ > 0) {
        TimedWait wait(loop_, deadline);
        joiner_ = &wait.waiter();
        bool woken = co_await wait;
        joiner_ = nullptr;
        if (!woken) co_return size_ == 0;
    }
    co_return true;
}

void Scope::cancel_all() {
    while (!roots_.empty()) {
        auto& promise = static_cast<Root::promise_type&>(roots_.front());
        std::coroutine_handle<Root::promise_type>::from_promise(promise).destroy();
    }
}

}  // namespace postrider::async
