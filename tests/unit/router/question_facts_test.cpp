#include "router/question_facts.h"

#include <catch2/catch.hpp>

#include <memory>
#include <string>

namespace postrider::router {

namespace {

/// Runs the loop until the question's missing facts were found out.
void find_out(async::Loop& loop, QuestionFacts& facts) {
    const auto find_out_and_stop = [](async::Loop& running, QuestionFacts& asked) -> async::Task<void> {
        co_await asked.find_out();
        running.stop();
    };
    async::Scope scope(loop);
    scope.spawn(find_out_and_stop(loop, facts));
    loop.run();
}

Result<std::optional<SystemUser>> everybody(const std::string& name) {
    SystemUser user;
    user.name = name;
    return std::optional<SystemUser>(user);
}

}  // namespace

TEST_CASE("a question learns what it missed", "[facts]") {
    async::Loop loop;
    async::ThreadPool pool(loop, 2, 100);
    UserCache users(loop, pool, {}, everybody);
    FactSources sources{users};
    QuestionFacts facts(sources);
    CHECK(facts.complete());
    CHECK(facts.system_user("alice").state == FactState::Pending);
    CHECK(facts.system_user("alice").state == FactState::Pending);
    CHECK_FALSE(facts.complete());
    find_out(loop, facts);
    CHECK(facts.complete());
    CHECK(facts.system_user("alice").state == FactState::Known);
    CHECK(facts.complete());
    QuestionFacts another(sources);
    CHECK(another.system_user("alice").state == FactState::Known);
}

TEST_CASE("a question keeps what it learned, whatever the caches have no room for", "[facts]") {
    async::Loop loop;
    async::ThreadPool pool(loop, 2, 100);
    UserCacheLimits limits;
    limits.entries = 3;
    UserCache users(loop, pool, limits, everybody);
    FactSources sources{users};
    QuestionFacts facts(sources);
    const auto ask_all = [&facts] {
        int known = 0;
        for (int i = 0; i < 10; ++i)
            known += facts.system_user("user" + std::to_string(i)).state == FactState::Known ? 1 : 0;
        return known;
    };
    int rounds = 0;
    for (int before = ask_all(); before < 10; ++rounds) {
        find_out(loop, facts);
        const int now = ask_all();
        REQUIRE(now > before);
        before = now;
    }
    CHECK(rounds == 4);
    users.clear();
    CHECK(ask_all() == 10);
}

}  // namespace postrider::router
