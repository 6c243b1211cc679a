#include "libcommon/async/task.h"

#include <catch2/catch.hpp>

#include <memory>
#include <stdexcept>
#include <string>

#include "tests/unit/async/run.h"

using namespace postrider;
using namespace postrider::async;

namespace {

Task<int> ready(int value) {
    co_return value;
}

Task<long> sum_of_many(int count) {
    long sum = 0;
    for (int n = 0; n < count; ++n) {
        auto value = co_await ready(n);
        sum += value;
    }
    co_return sum;
}

Task<int> fail_at_depth(Loop& loop, int depth) {
    if (depth == 0) {
        co_await Sleep(loop, Milliseconds(1));
        throw std::runtime_error("deep");
    }
    co_return co_await fail_at_depth(loop, depth - 1);
}

Task<void> hold(Loop& loop, std::shared_ptr<int> token) {
    co_await Sleep(loop, Milliseconds(60'000));
    static_cast<void>(token);
}

Task<void> hold_deep(Loop& loop, std::shared_ptr<int> token, int depth) {
    if (depth == 0) {
        co_await hold(loop, token);
    } else {
        co_await hold_deep(loop, token, depth - 1);
    }
}

}  // namespace

TEST_CASE("a child that is ready at once does not grow the stack") {
    Loop loop;
    long sum = 0;
    auto check = [](long& out) -> Task<void> { out = co_await sum_of_many(300'000); };
    run_to_end(loop, check(sum));
    REQUIRE(sum == 299'999L * 300'000L / 2);
}

TEST_CASE("an exception passes through suspended frames") {
    Loop loop;
    std::string caught;
    auto check = [](Loop& on, std::string& out) -> Task<void> {
        try {
            co_await fail_at_depth(on, 100);
        } catch (const std::runtime_error& error) {
            out = error.what();
        }
    };
    run_to_end(loop, check(loop, caught));
    REQUIRE(caught == "deep");
}

TEST_CASE("cancelling a task destroys the locals of every frame below it") {
    Loop loop;
    auto token = std::make_shared<int>(1);
    {
        Scope scope(loop);
        for (int n = 0; n < 50; ++n)
            scope.spawn(hold_deep(loop, token, n));
        REQUIRE(scope.size() == 50);
        REQUIRE(token.use_count() > 50);
    }
    REQUIRE(token.use_count() == 1);
}

TEST_CASE("a task that never started is destroyed with its arguments") {
    Loop loop;
    auto token = std::make_shared<int>(1);
    {
        auto task = hold(loop, token);
        REQUIRE(token.use_count() == 2);
    }
    REQUIRE(token.use_count() == 1);
}
