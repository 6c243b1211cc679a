#include "queue-manager/suspensions.h"

#include <catch2/catch.hpp>

using namespace postrider;
using namespace postrider::queue_manager;

TEST_CASE("suspended names are kept as lines of text") {
    Suspensions names;
    CHECK(names.empty());
    CHECK(names.add({"b.test", "a.test", "b.test"}, 1000, 7) == std::vector<std::string>{"b.test", "a.test"});
    CHECK(names.add({"a.test"}, 2000, 8).empty());
    CHECK(names.text() == "a.test 1000 7\nb.test 1000 7\n");
    const Suspensions read(names.text());
    CHECK(read.covers("a.test"));
    CHECK(read.names().at("a.test").time == 1000);
    CHECK(read.names().at("a.test").by == 7);
    CHECK_FALSE(read.covers("test"));
    CHECK(names.remove({"c.test", "a.test"}) == std::vector<std::string>{"a.test"});
    CHECK_FALSE(names.covers("a.test"));
    CHECK(names.covers("b.test"));
}

TEST_CASE("a line that makes no sense suspends what it names") {
    const Suspensions names(
        "a.test\n\nb.test soon somebody\n 12 3\nc.test 5 6 7 8\nd.test 99999999999999999999999");
    CHECK(names.names().size() == 4);
    for (const char* name : {"a.test", "b.test", "c.test", "d.test"})
        CHECK(names.covers(name));
    CHECK(names.names().at("c.test").time == 5);
}

TEST_CASE("what cannot stand in the file is not suspended") {
    for (const std::string& name :
         {std::string(), std::string("a b"), std::string("a\nb"), std::string(400, 'x')}) {
        CHECK_FALSE(can_be_suspended(name));
        Suspensions names;
        CHECK(names.add({name}, 1, 1).empty());
    }
    CHECK(can_be_suspended("[2001:db8::1]:25"));
}
