#include "remote-delivery/capabilities.h"

#include <catch2/catch.hpp>

namespace postrider::remote_delivery {
namespace {

TEST_CASE("the keywords that matter") {
    Capabilities all = parse_capabilities({"mx.test at your service", "PIPELINING", "8bitmime", "SMTPUTF8",
                                           "DSN", "SIZE 1000", "X-UNKNOWN a b"});
    CHECK(all.esmtp);
    CHECK(all.pipelining);
    CHECK(all.eight_bit);
    CHECK(all.smtputf8);
    CHECK(all.dsn);
    CHECK(all.size);
    CHECK(all.size_limit == 1000);
}

TEST_CASE("the greeting line has no keywords") {
    CHECK_FALSE(parse_capabilities({"PIPELINING"}).pipelining);
    CHECK_FALSE(parse_capabilities({}).pipelining);
}

TEST_CASE("keywords are whole words") {
    Capabilities none = parse_capabilities({"mx.test", "PIPELININGX", "XDSN", "SIZES 10", ""});
    CHECK_FALSE(none.pipelining);
    CHECK_FALSE(none.dsn);
    CHECK_FALSE(none.size);
}

TEST_CASE("forms of SIZE") {
    auto [line, limit] = GENERATE(table<std::string, std::uint64_t>({
        {"SIZE", 0},
        {"SIZE 0", 0},
        {"SIZE 52428800", 52428800},
        {"size=100", 100},
        {"SIZE  100 ", 100},
        {"SIZE 99999999999999999999999", 0},
        {"SIZE -1", 0},
        {"SIZE 10x", 0},
    }));
    CAPTURE(line);
    Capabilities parsed = parse_capabilities({"mx.test", line});
    CHECK(parsed.size);
    CHECK(parsed.size_limit == limit);
}

}  // namespace
}  // namespace postrider::remote_delivery
