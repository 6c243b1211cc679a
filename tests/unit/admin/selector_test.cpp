#include "admin/selector.h"

#include <catch2/catch.hpp>

#include <functional>
#include <string>

using namespace postrider;
using namespace postrider::admin;

namespace {

constexpr const char* kId = "01HF7YAT00AB3DE5";
constexpr std::uint64_t kMinute = 60'000;

SelectorWords words(const std::function<void(SelectorWords&)>& set) {
    SelectorWords made;
    set(made);
    return made;
}

}  // namespace

TEST_CASE("each word of a selection says what it selects") {
    struct Case {
        std::function<void(SelectorWords&)> given;
        std::function<bool(const wire::Selector&)> holds;
    };
    const Case cases[] = {
        {[](auto&) {}, [](const auto& s) { return s.ByteSizeLong() == 0; }},
        {[](auto& w) { w.ids = {kId}; },
         [](const auto& s) { return s.queue_ids_size() == 1 && s.queue_ids(0) == kId; }},
        {[](auto& w) { w.from = "a@b.test"; }, [](const auto& s) { return s.sender() == "a@b.test"; }},
        {[](auto& w) { w.from = "<a@b.test>"; }, [](const auto& s) { return s.sender() == "a@b.test"; }},
        {[](auto& w) { w.from = "<>"; }, [](const auto& s) { return s.null_sender() && s.sender().empty(); }},
        {[](auto& w) { w.from = "@b.test"; }, [](const auto& s) { return s.sender() == "@b.test"; }},
        {[](auto& w) { w.to = "@b.test"; }, [](const auto& s) { return s.recipient() == "@b.test"; }},
        {[](auto& w) { w.domain = "B.Test"; },
         [](const auto& s) { return s.domain() == "b.test" && !s.subdomains(); }},
        {[](auto& w) { w.domain = ".b.test"; },
         [](const auto& s) { return s.domain() == "b.test" && s.subdomains(); }},
        {[](auto& w) { w.domain = "[192.0.2.1]:25"; },
         [](const auto& s) { return s.domain() == "[192.0.2.1]:25"; }},
        {[](auto& w) { w.ages = {">2h"}; },
         [](const auto& s) { return s.older_ms() == 120 * kMinute && s.younger_ms() == 0; }},
        {[](auto& w) { w.ages = {"2h"}; }, [](const auto& s) { return s.older_ms() == 120 * kMinute; }},
        {[](auto& w) { w.ages = {"<10m"}; },
         [](const auto& s) { return s.younger_ms() == 10 * kMinute && s.older_ms() == 0; }},
        {[](auto& w) {
             w.ages = {">1m", "<2h", ">5m", "<1h"};
         },
         [](const auto& s) { return s.older_ms() == 5 * kMinute && s.younger_ms() == 60 * kMinute; }},
        {[](auto& w) {
             w.states = {"held,waiting", "new"};
         },
         [](const auto& s) {
             return s.states_size() == 3 && s.states(0) == "held" && s.states(1) == "waiting" &&
                    s.states(2) == "new";
         }},
        {[](auto& w) { w.last_reply = "mailbox full"; },
         [](const auto& s) { return s.last_reply() == "mailbox full"; }},
    };
    for (const auto& test : cases) {
        auto parsed = parse_selector(words(test.given));
        REQUIRE(parsed);
        CHECK(test.holds(*parsed));
    }
}

TEST_CASE("a word that makes no sense is an error that shows it") {
    struct Case {
        std::function<void(SelectorWords&)> given;
        const char* shown;
    };
    const Case cases[] = {
        {[](auto& w) { w.ids = {"nonsense"}; }, "\"nonsense\""},
        {[](auto& w) { w.from = "b.test"; }, "--from \"b.test\""},
        {[](auto& w) { w.from = "a@"; }, "--from"},
        {[](auto& w) { w.to = "a b@c.test"; }, "--to"},
        {[](auto& w) { w.to = "<>"; }, "--to"},
        {[](auto& w) { w.domain = "."; }, "--domain"},
        {[](auto& w) { w.domain = "a@b.test"; }, "--domain"},
        {[](auto& w) { w.ages = {"soon"}; }, "--age"},
        {[](auto& w) { w.ages = {">"}; }, "--age"},
        {[](auto& w) { w.ages = {">0"}; }, "--age"},
        {[](auto& w) { w.ages = {"=5m"}; }, "--age"},
        {[](auto& w) { w.states = {"lost"}; }, "quarantined"},
        {[](auto& w) { w.states = {""}; }, "--state"},
        {[](auto& w) { w.states = {"held,"}; }, "--state"},
        {[](auto& w) { w.last_reply = std::string(2000, 'x'); }, "--last-reply"},
    };
    for (const auto& test : cases) {
        auto parsed = parse_selector(words(test.given));
        REQUIRE_FALSE(parsed);
        CHECK_FALSE(parsed.error().temporary());
        CHECK_THAT(parsed.error().text, Catch::Contains(test.shown));
    }
}
