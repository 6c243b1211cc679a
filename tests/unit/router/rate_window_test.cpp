#include "router/rate_window.h"

#include <catch2/catch.hpp>

#include <string>

namespace postrider::router {

namespace {

SteadyTime at(int seconds) {
    return SteadyTime(Seconds(1'000'000 + seconds));
}

/// Counts as the service does; whether there was room.
bool take(RateWindow& window, const config::Rate& rate, const std::string& name, int seconds) {
    const bool room = window.has_room(name, rate, at(seconds));
    if (room) window.count(name, rate.period, at(seconds));
    return room;
}

}  // namespace

TEST_CASE("within a period no more passes than the rate allows", "[rate_window]") {
    RateWindow window(10);
    const config::Rate rate{3, Seconds(160)};
    CHECK(take(window, rate, "fred", 0));
    CHECK(take(window, rate, "fred", 1));
    CHECK(take(window, rate, "fred", 90));
    CHECK_FALSE(take(window, rate, "fred", 91));
    CHECK_FALSE(take(window, rate, "fred", 159));
    CHECK(take(window, rate, "john", 159));
    // Both of the first have left the window; the third has not.
    CHECK(take(window, rate, "fred", 175));
    CHECK(take(window, rate, "fred", 176));
    CHECK_FALSE(take(window, rate, "fred", 177));
    CHECK(take(window, rate, "fred", 1000));
}

TEST_CASE("a steady stream gets exactly its rate", "[rate_window]") {
    RateWindow window(10);
    const config::Rate rate{60, Seconds(3600)};
    int passed = 0;
    for (int second = 0; second < 10 * 3600; second += 10) {
        if (take(window, rate, "fred", second)) ++passed;
    }
    CHECK(passed <= 600);
    CHECK(passed >= 550);
}

TEST_CASE("another count holds at once, and another period starts anew", "[rate_window]") {
    RateWindow window(10);
    const config::Rate one{1, Seconds(3600)};
    const config::Rate two{2, Seconds(3600)};
    CHECK(take(window, one, "fred", 0));
    CHECK_FALSE(take(window, one, "fred", 0));
    CHECK(take(window, two, "fred", 0));
    CHECK_FALSE(take(window, two, "fred", 0));
    CHECK(take(window, config::Rate{1, Seconds(60)}, "fred", 0));
    CHECK_FALSE(take(window, config::Rate{0, Seconds(60)}, "john", 0));
}

TEST_CASE("what was used is told without changing it, also soon after the clock's beginning",
          "[rate_window]") {
    RateWindow window(10);
    const config::Rate week{5, std::chrono::hours(168)};
    const auto early = [](int seconds) { return SteadyTime(Seconds(seconds)); };
    window.count("fred", week.period, early(1));
    window.count("fred", week.period, early(2));
    CHECK(window.used("fred", week.period, early(3)) == 2);
    CHECK(window.used("fred", week.period, early(6 * 86400)) == 2);
    CHECK(window.used("fred", week.period, early(3)) == 2);
    CHECK(window.used("fred", week.period, early(8 * 86400)) == 0);
    CHECK(window.used("fred", Seconds(60), early(3)) == 0);
    std::size_t found = 0;
    window.for_each(early(4), [&](const std::string& name, std::uint64_t used) {
        CHECK(name == "fred");
        CHECK(used == 2);
        ++found;
    });
    CHECK(found == 1);
    window.for_each(early(8 * 86400), [&](const std::string&, std::uint64_t) { ++found; });
    CHECK(found == 1);
}

TEST_CASE("the names that are remembered are bounded", "[rate_window]") {
    RateWindow window(3);
    const config::Rate rate{1, Seconds(3600)};
    for (const char* name : {"a", "b", "c", "d"})
        CHECK(take(window, rate, name, 0));
    CHECK(window.size() == 3);
    CHECK_FALSE(take(window, rate, "b", 1));
    CHECK(take(window, rate, "a", 1));  // forgotten, since it was the oldest
    CHECK(window.size() == 3);
    window.set_most_names(1);
    CHECK(window.size() == 1);
    CHECK_FALSE(take(window, rate, "a", 2));  // the last one that was counted is kept
    CHECK(take(window, rate, "b", 2));
    CHECK(window.size() == 1);
}

}  // namespace postrider::router
