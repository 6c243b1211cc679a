#include "libcommon/dns/exchangers.h"

#include <catch2/catch.hpp>

#include <map>
#include <set>

namespace postrider::dns {
namespace {

TEST_CASE("hosts are grouped by preference, the lowest first") {
    Random random(1);
    auto groups = preference_groups({{20, "c"}, {10, "a"}, {30, "d"}, {20, "b"}}, random);
    REQUIRE(groups.size() == 3);
    CHECK(groups[0].hosts == std::vector<std::string>{"a"});
    CHECK(std::set<std::string>(groups[1].hosts.begin(), groups[1].hosts.end()) ==
          std::set<std::string>{"b", "c"});
    CHECK(groups[2] == PreferenceGroup{30, {"d"}});
}

TEST_CASE("equal preferences are tried in random order") {
    Random random(1);
    std::map<std::string, int> first;
    for (int i = 0; i < 300; ++i)
        ++first[preference_groups({{5, "a"}, {5, "b"}, {5, "c"}}, random)[0].hosts[0]];
    CHECK(first["a"] > 50);
    CHECK(first["b"] > 50);
    CHECK(first["c"] > 50);
}

TEST_CASE("a host counts where it is best, and the root nowhere") {
    Random random(1);
    auto groups = preference_groups({{20, "a"}, {10, "a"}, {10, ""}, {20, "b"}}, random);
    CHECK(groups == std::vector<PreferenceGroup>{{10, {"a"}}, {20, {"b"}}});
    CHECK(preference_groups({}, random).empty());
}

TEST_CASE("a null MX stands alone") {
    CHECK(is_null_mx({{0, ""}}));
    CHECK_FALSE(is_null_mx({{0, ""}, {10, "a"}}));
    CHECK_FALSE(is_null_mx({{0, "a"}}));
    CHECK_FALSE(is_null_mx({}));
}

}  // namespace
}  // namespace postrider::dns
