#include "router/rate_window.h"

#include <catch2/catch.hpp>

#include <string>

namespace postrider::router {

namespace {

SteadyTime at(int seconds) {
    return SteadyTime(Seconds(1'000'000 + seconds));
}

/// Counts as the service does; whether there was room.
bool take(RateWindow& window, const std::string& name, int seconds) {
    const bool room = window.has_room(name, at(seconds));
    if (room) window.count(name, at(seconds));
    return room;
}

}  // namespace

TEST_CASE("within a period no more passes than the rate allows", "[rate_window]") {
    RateWindow window(10);
    window.set_rate(config::Rate{3, Seconds(160)});
    CHECK(take(window, "fred", 0));
    CHECK(take(window, "fred", 1));
    CHECK(take(window, "fred", 90));
    CHECK_FALSE(take(window, "fred", 91));
    CHECK_FALSE(take(window, "fred", 159));
    CHECK(take(window, "john", 159));
    // Both of the first have left the window; the third has not.
    CHECK(take(window, "fred", 175));
    CHECK(take(window, "fred", 176));
    CHECK_FALSE(take(window, "fred", 177));
    CHECK(take(window, "fred", 1000));
}

TEST_CASE("a steady stream gets exactly its rate", "[rate_window]") {
    RateWindow window(10);
    window.set_rate(config::Rate{60, Seconds(3600)});
    int passed = 0;
    for (int second = 0; second < 10 * 3600; second += 10) {
        if (take(window, "fred", second)) ++passed;
    }
    CHECK(passed <= 600);
    CHECK(passed >= 550);
}

TEST_CASE("without a rate everything passes, and a new period starts anew", "[rate_window]") {
    RateWindow window(10);
    for (int i = 0; i < 100; ++i)
        CHECK(take(window, "fred", 0));
    CHECK(window.size() == 0);
    window.set_rate(config::Rate{1, Seconds(3600)});
    CHECK(take(window, "fred", 0));
    CHECK_FALSE(take(window, "fred", 0));
    window.set_rate(config::Rate{2, Seconds(3600)});
    CHECK(take(window, "fred", 0));
    CHECK_FALSE(take(window, "fred", 0));
    window.set_rate(config::Rate{1, Seconds(60)});
    CHECK(take(window, "fred", 0));
    window.set_rate(config::Rate{0, Seconds(60)});
    CHECK_FALSE(take(window, "john", 0));
}

TEST_CASE("the names that are remembered are bounded", "[rate_window]") {
    RateWindow window(3);
    window.set_rate(config::Rate{1, Seconds(3600)});
    for (const char* name : {"a", "b", "c", "d"})
        CHECK(take(window, name, 0));
    CHECK(window.size() == 3);
    CHECK_FALSE(take(window, "b", 1));
    CHECK(take(window, "a", 1));  // forgotten, since it was the oldest
    CHECK(window.size() == 3);
}

}  // namespace postrider::router
