#include "router/reply_template.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace postrider::router {

TEST_CASE("the text of a reply, with and without codes", "[reply_template]") {
    struct Case {
        std::string text;
        bool permanent;
        std::uint32_t code;
        std::string enhanced;
        std::string filled;
    };
    const std::vector<Case> cases = {
        {"go away", true, 0, "", "go away"},
        {"550 5.7.1 go away", true, 550, "5.7.1", "go away"},
        {"554 We reject %i", true, 554, "", "We reject 192.0.2.1"},
        {"450 4.7.1 later", false, 450, "4.7.1", "later"},
        {"%s to %r: 100%%", true, 0, "", "a@b.test to ?c@d.test: 100%"},
        {"5 apples", true, 0, "", "5 apples"},
    };
    for (const Case& one : cases) {
        CAPTURE(one.text);
        const Result<ReplyTemplate> reply = ReplyTemplate::parse(one.text, one.permanent);
        REQUIRE(reply);
        CHECK(reply->code == one.code);
        CHECK(reply->enhanced == one.enhanced);
        CHECK(reply->filled({"192.0.2.1", "a@b.test", "\nc@d.test"}) == one.filled);
    }
}

TEST_CASE("texts that are no reply", "[reply_template]") {
    struct Case {
        std::string text;
        bool permanent;
    };
    for (const Case& one : std::vector<Case>{{"", true},
                                             {"450 4.7.1 later", true},
                                             {"550 5.7.1 no", false},
                                             {"250 2.0.0 yes", true},
                                             {"550 4.7.1 no", true},
                                             {"550 5.7.1", true},
                                             {"550 ", true},
                                             {"%x", true},
                                             {"100%", true},
                                             {"a\tb", true}}) {
        CAPTURE(one.text);
        CHECK_FALSE(ReplyTemplate::parse(one.text, one.permanent));
    }
}

}  // namespace postrider::router
