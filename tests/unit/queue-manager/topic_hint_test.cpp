#include "queue-manager/topic_hint.h"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace postrider::queue_manager;

TEST_CASE("a hint leads to each of the topics it was made of") {
    for (int i = 0; i < 20'000; ++i) {
        const std::string domain = "d" + std::to_string(i) + ".example";
        const std::string relay = "[192.0.2." + std::to_string(i % 250) + "]:25";
        for (const std::vector<std::string>& topics :
             {std::vector<std::string>{domain}, std::vector<std::string>{domain, relay}}) {
            const std::uint32_t hint = hint_of(topics);
            REQUIRE(hint % 1000 != 0);
            REQUIRE(hint < 1'000'000);
            const auto names = names_of_hint(hint);
            for (const auto& topic : topics) {
                const auto wanted = hinted_names(topic);
                const bool found = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
                    return std::find(wanted.begin(), wanted.end(), name) != wanted.end();
                });
                REQUIRE(found);
            }
        }
    }
}

TEST_CASE("a hint leads to few others") {
    int others = 0;
    const auto wanted = hinted_names("example.org");
    for (int i = 0; i < 100'000; ++i) {
        const auto names = names_of_hint(hint_of({"d" + std::to_string(i) + ".example"}));
        REQUIRE(names.size() == 1);
        others += std::count(wanted.begin(), wanted.end(), names[0]);
    }
    CHECK(others < 5);
}

TEST_CASE("what says nothing leads nowhere") {
    CHECK(hint_of({}) == 0);
    CHECK(hint_of({"a", "b", "c"}) == 0);
    // No hint, a time in microseconds, a pair that no hash makes, more than there is.
    for (std::uint32_t hint : {0U, 1000U, 123'000U, 500'000U, 999'999U, 1'000'001U})
        CHECK(names_of_hint(hint).empty());
}
