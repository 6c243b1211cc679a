#include "libcommon/dns/cache.h"

#include <catch2/catch.hpp>

namespace postrider::dns {
namespace {

const SteadyTime kNow{std::chrono::hours(1)};

Answer answer_of(std::string owner) {
    Answer answer;
    answer.outcome = Outcome::Found;
    answer.records.owner = std::move(owner);
    return answer;
}

TEST_CASE("an answer is kept for its TTL, by name and type") {
    Cache cache(10, Seconds(3600));
    cache.store("a.test", Type::A, answer_of("a"), Seconds(60), kNow);
    REQUIRE(cache.find("a.test", Type::A, kNow));
    CHECK(cache.find("a.test", Type::A, kNow)->records.owner == "a");
    CHECK(cache.find("a.test", Type::A, kNow + Seconds(59)));
    CHECK_FALSE(cache.find("a.test", Type::Mx, kNow));
    CHECK_FALSE(cache.find("b.test", Type::A, kNow));
    CHECK_FALSE(cache.find("a.test", Type::A, kNow + Seconds(60)));
    CHECK(cache.size() == 0);
}

TEST_CASE("no TTL is longer than the longest") {
    Cache cache(10, Seconds(3600));
    cache.store("a.test", Type::A, answer_of("a"), Seconds(4'000'000'000), kNow);
    CHECK(cache.find("a.test", Type::A, kNow + Seconds(3599)));
    CHECK_FALSE(cache.find("a.test", Type::A, kNow + Seconds(3600)));
}

TEST_CASE("a TTL of zero keeps nothing, and forgets what was kept") {
    Cache cache(10, Seconds(3600));
    cache.store("a.test", Type::A, answer_of("old"), Seconds(60), kNow);
    cache.store("a.test", Type::A, answer_of("new"), Seconds(0), kNow);
    CHECK_FALSE(cache.find("a.test", Type::A, kNow));
}

TEST_CASE("a new answer replaces the old one") {
    Cache cache(10, Seconds(3600));
    cache.store("a.test", Type::A, answer_of("old"), Seconds(60), kNow);
    cache.store("a.test", Type::A, answer_of("new"), Seconds(60), kNow);
    CHECK(cache.size() == 1);
    CHECK(cache.find("a.test", Type::A, kNow)->records.owner == "new");
}

TEST_CASE("a full cache forgets what was not asked for") {
    Cache cache(2, Seconds(3600));
    cache.store("a.test", Type::A, answer_of("a"), Seconds(60), kNow);
    cache.store("b.test", Type::A, answer_of("b"), Seconds(60), kNow);
    CHECK(cache.find("a.test", Type::A, kNow));
    cache.store("c.test", Type::A, answer_of("c"), Seconds(60), kNow);
    CHECK(cache.size() == 2);
    CHECK(cache.find("a.test", Type::A, kNow));
    CHECK_FALSE(cache.find("b.test", Type::A, kNow));
    CHECK(cache.find("c.test", Type::A, kNow));
}

}  // namespace
}  // namespace postrider::dns
