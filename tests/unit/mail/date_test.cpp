#include "libcommon/mail/date.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <limits>

using namespace postrider::mail;
using std::chrono::minutes;

TEST_CASE("dates of header fields") {
    CHECK(format_date(1795295273000, minutes(0)) == "Sat, 21 Nov 2026 21:07:53 +0000");
    CHECK(format_date(1795295273999, minutes(0)) == "Sat, 21 Nov 2026 21:07:53 +0000");
    CHECK(format_date(1795295273000, minutes(330)) == "Sun, 22 Nov 2026 02:37:53 +0530");
    CHECK(format_date(1795295273000, minutes(-210)) == "Sat, 21 Nov 2026 17:37:53 -0330");
    CHECK(format_date(1795295273000, minutes(-30)) == "Sat, 21 Nov 2026 20:37:53 -0030");
    CHECK(format_date(0, minutes(0)) == "Thu, 1 Jan 1970 00:00:00 +0000");
    CHECK(format_date(1078866000000, minutes(0)) == "Tue, 9 Mar 2004 21:00:00 +0000");
}

TEST_CASE("dates in the local zone follow summer time") {
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    load_local_time_zone();
    CHECK(format_date(1795295273000) == "Sat, 21 Nov 2026 22:07:53 +0100");
    CHECK(format_date(1782000000000) == "Sun, 21 Jun 2026 02:00:00 +0200");
    unsetenv("TZ");
    load_local_time_zone();
}

TEST_CASE("an impossible time does no harm") {
    CHECK_FALSE(format_date(std::numeric_limits<postrider::UnixMillis>::max(), minutes(0)).empty());
}
