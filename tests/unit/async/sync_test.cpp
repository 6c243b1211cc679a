#include "libcommon/async/sync.h"

#include <catch2/catch.hpp>

#include <memory>
#include <vector>

#include "libcommon/async/thread_pool.h"
#include "tests/unit/async/run.h"

using namespace postrider;
using namespace postrider::async;

namespace {

Task<int> slow(Loop& loop, int value, Milliseconds duration) {
    co_await Sleep(loop, duration);
    co_return value;
}

Task<void> collect(Queue<int>& queue, std::vector<int>& into) {
    while (true) {
        auto value = co_await queue.pop();
        if (!value) co_return;
        into.push_back(*value);
    }
}

Task<void> use_place(Loop& loop, Semaphore& places, int& inside, int& most) {
    co_await places.acquire();
    ++inside;
    most = std::max(most, inside);
    co_await Sleep(loop, Milliseconds(2));
    --inside;
    places.release();
}

Task<void> wait_once(Condition& condition, int& woken) {
    bool notified = co_await condition.wait();
    if (notified) ++woken;
}

}  // namespace

TEST_CASE("with_deadline gives the result, or cancels") {
    Loop loop;
    auto check = [](Loop& on) -> Task<void> {
        auto in_time = co_await with_deadline(on, slow(on, 7, Milliseconds(5)), on.after(Milliseconds(2000)));
        CHECK(in_time == 7);
        auto late = co_await with_deadline(on, slow(on, 7, Milliseconds(2000)), on.after(Milliseconds(5)));
        CHECK_FALSE(late.has_value());
    };
    run_to_end(loop, check(loop));
}

TEST_CASE("a queue keeps order, has a limit, and ends when closed") {
    Loop loop;
    auto check = [](Loop& on) -> Task<void> {
        Queue<int> queue(on, 3);
        std::vector<int> got;
        CHECK(queue.push(1));
        CHECK(queue.push(2));
        CHECK(queue.push(3));
        CHECK_FALSE(queue.push(4));
        Scope scope(on);
        scope.spawn(collect(queue, got));
        CHECK(queue.push(5));
        queue.close();
        CHECK_FALSE(queue.push(6));
        bool joined = co_await scope.join(on.after(Milliseconds(1000)));
        CHECK(joined);
        CHECK(got == std::vector<int>{1, 2, 3, 5});
    };
    run_to_end(loop, check(loop));
}

TEST_CASE("a semaphore bounds how many are inside") {
    Loop loop;
    int inside = 0;
    int most = 0;
    auto check = [](Loop& on, int& in, int& peak) -> Task<void> {
        Semaphore places(on, 4);
        Scope scope(on);
        for (int n = 0; n < 40; ++n)
            scope.spawn(use_place(on, places, in, peak));
        bool joined = co_await scope.join(on.after(Milliseconds(5000)));
        CHECK(joined);
    };
    run_to_end(loop, check(loop, inside, most));
    CHECK(inside == 0);
    CHECK(most == 4);
}

TEST_CASE("a wake-up that its receiver can no longer use goes to the next one") {
    Loop loop;
    int first = 0;
    int second = 0;
    auto check = [](Loop& on, int& one, int& two) -> Task<void> {
        Condition condition(on);
        Scope survivor(on);
        {
            Scope cancelled(on);
            cancelled.spawn(wait_once(condition, one));
            survivor.spawn(wait_once(condition, two));
            condition.notify_one();
        }
        bool joined = co_await survivor.join(on.after(Milliseconds(1000)));
        CHECK(joined);
    };
    run_to_end(loop, check(loop, first, second));
    CHECK(first == 0);
    CHECK(second == 1);
}

TEST_CASE("scope.join times out while a task still runs") {
    Loop loop;
    auto check = [](Loop& on) -> Task<void> {
        Scope scope(on);
        auto quiet = [](Loop& where) -> Task<void> { co_await Sleep(where, Milliseconds(60'000)); };
        scope.spawn(quiet(on));
        bool joined = co_await scope.join(on.after(Milliseconds(5)));
        CHECK_FALSE(joined);
    };
    run_to_end(loop, check(loop));
}

TEST_CASE("a thread pool runs blocking work beside the loop, within its limit") {
    Loop loop;
    auto check = [](Loop& on) -> Task<void> {
        ThreadPool pool(on, 2, 2);
        std::function<int()> work = [] { return 42; };
        auto result = co_await pool.run(work);
        CHECK(result == 42);
        ThreadPool full(on, 1, 0);
        auto refused = co_await full.run(work);
        CHECK_FALSE(refused.has_value());
    };
    run_to_end(loop, check(loop));
}

TEST_CASE("a cancelled caller of a thread pool leaves its job to end alone") {
    Loop loop;
    auto ran = std::make_shared<int>(0);
    auto check = [](Loop& on, std::shared_ptr<int> done) -> Task<void> {
        ThreadPool pool(on, 1, 8);
        std::function<int()> work = [done] {
            ++*done;
            return 1;
        };
        for (int n = 0; n < 4; ++n) {
            auto answer = co_await with_deadline(on, pool.run(work), on.after(Milliseconds(0)));
            static_cast<void>(answer);
        }
    };
    run_to_end(loop, check(loop, ran));
    CHECK(ran.use_count() == 1);
}
