#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "libcommon/async/sync.h"

namespace postrider::async {

/// A few threads for calls that block (fsync, getpwnam, a PAM module), so that the loop never does.
class ThreadPool {
  public:
    /// Throws std::system_error if the threads cannot be started. `queue_limit` bounds the jobs that wait.
    ThreadPool(Loop& loop, std::size_t threads, std::size_t queue_limit);
    /// Lets the running jobs end, forgets those that wait, joins the threads.
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    /// Calls `work` on a thread and resumes with its result. If the awaiting task is cancelled the result is
    /// thrown away; so `work` owns what it uses. nullopt: too many jobs wait already.
    template <typename T>
    Task<std::optional<T>> run(std::function<T()> work) {
        auto job = std::make_shared<TypedJob<T>>(std::move(work));
        bool accepted = submit(job);
        if (!accepted) co_return std::nullopt;
        co_await Completion(*job);
        co_return std::move(job->result);
    }

  private:
    struct Job {
        virtual ~Job() = default;
        virtual void call() = 0;
        Waiter* waiter = nullptr;  // touched on the loop's thread only
        bool finished = false;     // likewise
    };
    template <typename T>
    struct TypedJob : Job {
        explicit TypedJob(std::function<T()> work_in) : work(std::move(work_in)) {}
        void call() override { result = work(); }
        std::function<T()> work;
        std::optional<T> result;
    };
    class Completion {
      public:
        explicit Completion(Job& job) : job_(job) {}
        ~Completion() { job_.waiter = nullptr; }
        Completion(const Completion&) = delete;
        Completion& operator=(const Completion&) = delete;
        bool await_ready() const noexcept { return job_.finished; }
        void await_suspend(std::coroutine_handle<> waiting) {
            waiter_.coroutine = waiting;
            job_.waiter = &waiter_;
        }
        void await_resume() const noexcept {}

      private:
        Job& job_;
        Waiter waiter_;
    };

    bool submit(std::shared_ptr<Job> job);
    void collect();

    struct Shared;
    Loop& loop_;
    std::unique_ptr<Shared> shared_;
};

}  // namespace postrider::async
