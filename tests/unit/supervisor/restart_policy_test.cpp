#include "supervisor/restart_policy.h"

#include <catch2/catch.hpp>

#include <vector>

using namespace postrider;
using namespace postrider::supervisor;

TEST_CASE("restart delays double for a daemon that keeps ending, and start over for one that ran") {
    struct Step {
        int ran_ms;
        int delay_ms;
    };
    struct Case {
        const char* name;
        std::vector<Step> steps;
    };
    const Case cases[] = {
        {"ends at once, again and again",
         {{0, 1000}, {0, 2000}, {0, 4000}, {0, 8000}, {0, 16000}, {0, 32000}, {0, 60000}, {0, 60000}}},
        {"ran for a while each time", {{5000, 1000}, {5000, 1000}, {5000, 1000}}},
        {"recovers after a crash loop", {{0, 1000}, {0, 2000}, {0, 4000}, {9000, 1000}, {0, 2000}}},
        {"ran, but no longer than the delay it had earned", {{0, 1000}, {2000, 2000}, {3000, 4000}}},
    };
    for (const auto& each : cases) {
        CAPTURE(each.name);
        RestartPolicy policy(Milliseconds(1000), Milliseconds(60000));
        for (const auto& step : each.steps) {
            CHECK(policy.delay_after(Milliseconds(step.ran_ms)) == Milliseconds(step.delay_ms));
        }
    }
}
