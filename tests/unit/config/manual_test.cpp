// The manual and the tables in the code say the same.

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <fstream>
#include <iterator>

#include "libcommon/config/directives.h"

namespace postrider::config {

TEST_CASE("postrider.conf(5) describes every implemented directive", "[manual]") {
    std::ifstream file(POSTRIDER_SOURCE_DIR "/man/postrider.conf.5");
    const std::string manual((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    REQUIRE_FALSE(manual.empty());
    for (const auto& row : directive_table()) {
        INFO(row.name);
        std::size_t item = manual.find(fmt::format("\n.It Ic {} Ar ", row.name));
        if (item == std::string::npos) item = manual.find(fmt::format("\n.It Ic {} Cm ", row.name));
        // A directive that would be refused must not be advertised.
        CHECK((item != std::string::npos) == (row.status == Status::Implemented));
        if (!row.limit || item == std::string::npos) continue;
        const LimitRow& limit = limit_row(*row.limit);
        std::string expected = "\nDefault " + format_limit(limit, limit.value);
        if (limit.overload) expected += ", under overload " + format_limit(limit, *limit.overload);
        std::size_t text = manual.find('\n', item + 1);
        CHECK(manual.substr(text, expected.size() + 1) == expected + ".");
    }
}

}  // namespace postrider::config
