#include "router/users.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace postrider::router {

namespace {

/// A user database that counts its questions. Shared with helper threads.
struct Database {
    std::atomic<int> asked = 0;
    std::atomic<bool> down = false;

    Result<std::optional<SystemUser>> find(const std::string& name) {
        ++asked;
        if (down) return temporary("no answer");
        if (name.starts_with("no")) return std::optional<SystemUser>();
        SystemUser user;
        user.name = name;
        user.uid = 1000;
        return std::optional<SystemUser>(user);
    }
};

/// A cache with short memory over the database.
struct Fixture {
    explicit Fixture(UserCacheLimits limits = {})
        : cache(loop, pool, limits, [base = database](const std::string& name) { return base->find(name); }) {
    }

    /// Runs the loop until `names` are in the cache.
    void look_up(std::vector<std::string> names) {
        async::Scope scope(loop);
        scope.spawn(look_up_and_stop(std::move(names)));
        loop.run();
    }
    async::Task<void> look_up_and_stop(std::vector<std::string> names) {
        co_await cache.look_up(std::move(names));
        loop.stop();
    }
    FactState state(const std::string& name) { return cache.find(name).state; }

    std::shared_ptr<Database> database = std::make_shared<Database>();
    async::Loop loop;
    async::ThreadPool pool{loop, 2, 100};
    UserCache cache;
};

using State = FactState;

}  // namespace

TEST_CASE("users are looked up once and then known") {
    Fixture fixture;
    CHECK(fixture.state("alice") == State::Pending);
    fixture.look_up({"alice", "nobody", "alice"});
    CHECK(fixture.state("alice") == State::Known);
    CHECK(fixture.cache.find("alice").user->name == "alice");
    CHECK(fixture.state("nobody") == State::Unknown);
    CHECK(fixture.state("bob") == State::Pending);
    CHECK(fixture.database->asked == 2);
}

TEST_CASE("several who ask for the same user at once wait for one look-up") {
    Fixture fixture;
    async::Scope scope(fixture.loop);
    scope.spawn(fixture.cache.look_up({"alice"}));
    scope.spawn(fixture.cache.look_up({"alice", "bob"}));
    fixture.look_up({"bob", "alice"});
    CHECK(fixture.database->asked == 2);
    CHECK(scope.size() == 0);
}

TEST_CASE("answers are believed for a time, a failure for a short one") {
    UserCacheLimits limits;
    limits.known = Milliseconds(60'000);
    limits.unknown = Milliseconds(50);
    limits.unavailable = Milliseconds(1);
    Fixture fixture(limits);
    fixture.look_up({"alice", "nobody"});
    std::this_thread::sleep_for(Milliseconds(60));
    CHECK(fixture.state("alice") == State::Known);
    CHECK(fixture.state("nobody") == State::Pending);
    fixture.database->down = true;
    fixture.cache.clear();
    CHECK(fixture.state("alice") == State::Pending);
    fixture.look_up({"alice"});
    fixture.database->down = false;
    std::this_thread::sleep_for(Milliseconds(5));
    CHECK(fixture.state("alice") == State::Pending);
    fixture.look_up({"alice"});
    CHECK(fixture.state("alice") == State::Known);
}

TEST_CASE("a database that does not answer is told from a user who does not exist") {
    Fixture fixture;
    fixture.database->down = true;
    fixture.look_up({"alice"});
    CHECK(fixture.state("alice") == State::Unavailable);
}

TEST_CASE("the cache is bounded, and the oldest go first") {
    UserCacheLimits limits;
    limits.entries = 100;
    limits.names_per_job = 7;
    Fixture fixture(limits);
    std::vector<std::string> names;
    names.reserve(150);
    for (int i = 0; i < 150; ++i)
        names.push_back("u" + std::to_string(i));
    fixture.look_up(names);
    CHECK(fixture.cache.size() == 100);
    fixture.look_up({"last"});
    CHECK(fixture.cache.size() == 100);
    CHECK(fixture.state("last") == State::Known);
    CHECK(fixture.database->asked == 151);
}

TEST_CASE("a task that is cancelled while it waits leaves the others alone") {
    Fixture fixture;
    {
        async::Scope scope(fixture.loop);
        scope.spawn(fixture.cache.look_up({"alice"}));
    }
    fixture.look_up({"alice"});
    CHECK(fixture.state("alice") == State::Known);
    CHECK(fixture.database->asked == 1);
}

TEST_CASE("the system's database knows root, and nobody of this name") {
    const auto root = find_system_user("root");
    REQUIRE(root.has_value());
    REQUIRE(root->has_value());
    CHECK((*root)->uid == 0);
    const auto nobody = find_system_user("no-such-user-at-all");
    REQUIRE(nobody.has_value());
    CHECK_FALSE(nobody->has_value());
    BlockingFacts facts;
    CHECK(facts.system_user("root").state == State::Known);
    CHECK(facts.system_user("no-such-user-at-all").state == State::Unknown);
    CHECK(facts.dns({"example.test", dns::Type::Mx, Seconds(1)}).state == State::Unavailable);
}

}  // namespace postrider::router
