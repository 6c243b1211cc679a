#include "libcommon/async/thread_pool.h"

#include <event2/event.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "libcommon/base/fd.h"

namespace postrider::async {

struct ThreadPool::Shared {
    void work();
    void announce() const;
    static void announced(int, short, void* pool) { static_cast<ThreadPool*>(pool)->collect(); }

    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::shared_ptr<Job>> waiting;
    std::deque<std::shared_ptr<Job>> finished;
    bool stopping = false;
    std::size_t queue_limit = 0;
    std::vector<std::thread> threads;
    Fd wake_up;
    event* woken = nullptr;
};

void ThreadPool::Shared::work() {
    std::unique_lock lock(mutex);
    while (true) {
        changed.wait(lock, [this] { return stopping || !waiting.empty(); });
        if (stopping) return;
        auto job = std::move(waiting.front());
        waiting.pop_front();
        lock.unlock();
        job->call();
        lock.lock();
        bool first = finished.empty();
        finished.push_back(std::move(job));
        // The loop takes all finished jobs at once, so only the first of them has to wake it.
        if (first) announce();
    }
}

void ThreadPool::Shared::announce() const {
    std::uint64_t one = 1;
    // The counter of an eventfd cannot be full here, and the loop reads it to zero.
    static_cast<void>(!::write(wake_up.get(), &one, sizeof one));
}

ThreadPool::ThreadPool(Loop& loop, std::size_t threads, std::size_t queue_limit)
    : loop_(loop), shared_(std::make_unique<Shared>()) {
    shared_->queue_limit = queue_limit;
    shared_->wake_up = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!shared_->wake_up) throw std::system_error(errno, std::generic_category(), "eventfd");
    shared_->woken =
        event_new(loop.base(), shared_->wake_up.get(), EV_READ | EV_PERSIST, &Shared::announced, this);
    if (shared_->woken == nullptr) throw std::bad_alloc();
    event_add(shared_->woken, nullptr);

    // Signals are the loop's business: a thread must not take one away from it.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (std::size_t n = 0; n < threads; ++n) {
        shared_->threads.emplace_back([shared = shared_.get()] { shared->work(); });
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

ThreadPool::~ThreadPool() {
    {
        std::lock_guard lock(shared_->mutex);
        shared_->stopping = true;
    }
    shared_->changed.notify_all();
    for (auto& thread : shared_->threads)
        thread.join();
    event_free(shared_->woken);
}

bool ThreadPool::submit(std::shared_ptr<Job> job) {
    {
        std::lock_guard lock(shared_->mutex);
        if (shared_->waiting.size() >= shared_->queue_limit) return false;
        shared_->waiting.push_back(std::move(job));
    }
    shared_->changed.notify_one();
    return true;
}

void ThreadPool::collect() {
    std::uint64_t count = 0;
    static_cast<void>(!::read(shared_->wake_up.get(), &count, sizeof count));
    std::deque<std::shared_ptr<Job>> finished;
    {
        std::lock_guard lock(shared_->mutex);
        finished.swap(shared_->finished);
    }
    for (auto& job : finished) {
        job->finished = true;
        if (job->waiter != nullptr) loop_.wake(*job->waiter);
    }
}

}  // namespace postrider::async
