#include "queue-manager/send_rate.h"

#include <catch2/catch.hpp>

#include <vector>

using namespace postrider;
using namespace postrider::queue_manager;

namespace {
constexpr UnixMillis kRateStart = 1'700'000'000'000;
}

TEST_CASE("no more than its rate goes to a destination in any period") {
    struct Case {
        std::uint32_t count;
        Milliseconds period;
    };
    for (const Case& c :
         {Case{1, Milliseconds(1000)}, Case{10, Milliseconds(60'000)}, Case{300, Milliseconds(3'600'000)},
          Case{7, Milliseconds(86'400'000)}, Case{1000, Milliseconds(1000)}, Case{2, Milliseconds(1)}}) {
        SendRate rate;
        rate.set(c.count, c.period);
        std::vector<UnixMillis> sent;
        UnixMillis now = kRateStart + 12'345;
        const auto period = static_cast<UnixMillis>(c.period.count());
        while (sent.size() < 5 * c.count + 3) {
            const UnixMillis next = rate.next_room(now);
            REQUIRE(next >= now);
            now = next;
            REQUIRE(rate.next_room(now) == now);
            rate.count(now);
            sent.push_back(now);
        }
        for (std::size_t i = 0; i + c.count < sent.size(); ++i)
            REQUIRE(sent[i + c.count] - sent[i] >= period);
        // And not much less: a slot in sixteen is lost at most, and what rounds up to milliseconds.
        const UnixMillis periods = (sent.size() - 1) / c.count;
        CHECK(sent.back() - sent.front() <= periods * (period + period / 16 + 17));
    }
}

TEST_CASE("without a rate everything goes, and a new one counts what it can") {
    SendRate rate;
    rate.count(kRateStart);
    CHECK(rate.next_room(kRateStart) == kRateStart);
    CHECK(rate.unused(kRateStart));
    rate.set(3, Milliseconds(16'000));
    for (int i = 0; i < 3; ++i)
        rate.count(kRateStart);
    CHECK(rate.next_room(kRateStart) > kRateStart);
    CHECK_FALSE(rate.unused(kRateStart));
    CHECK(rate.unused(kRateStart + 17'000));
    rate.set(4, Milliseconds(16'000));
    CHECK(rate.next_room(kRateStart) == kRateStart);
    rate.set(2, Milliseconds(16'000));
    CHECK(rate.next_room(kRateStart) > kRateStart);
    rate.set(2, Milliseconds(20'000));
    CHECK(rate.next_room(kRateStart) == kRateStart);
    rate.set(0, Milliseconds(0));
    CHECK(rate.next_room(kRateStart) == kRateStart);
}
