#include "libcommon/mail/date.h"

#include <fmt/format.h>

#include <array>
#include <ctime>

namespace postrider::mail {
namespace {

/// A time zone's offset as the clock shows it: hours and minutes side by side, 330 minutes are 530.
int offset_digits(std::chrono::minutes offset) {
    const auto minutes = static_cast<int>(offset.count());
    return minutes / 60 * 100 + minutes % 60;
}

}  // namespace

void load_local_time_zone() {
    tzset();
}

std::string format_date(UnixMillis when, std::chrono::minutes utc_offset) {
    // Not strftime, which writes the names of days and months in the language of the locale.
    constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto offset_seconds = std::chrono::seconds(utc_offset).count();
    const auto shifted = static_cast<std::time_t>(when / 1000) + static_cast<std::time_t>(offset_seconds);
    std::tm parts = {};
    gmtime_r(&shifted, &parts);
    return fmt::format("{}, {} {} {} {:02}:{:02}:{:02} {:+05}",
                       kDays.at(static_cast<std::size_t>(parts.tm_wday)), parts.tm_mday,
                       kMonths.at(static_cast<std::size_t>(parts.tm_mon)), parts.tm_year + 1900,
                       parts.tm_hour, parts.tm_min, parts.tm_sec, offset_digits(utc_offset));
}

std::string format_date(UnixMillis when) {
    const auto seconds = static_cast<std::time_t>(when / 1000);
    std::tm parts = {};
    localtime_r(&seconds, &parts);
    const auto offset = std::chrono::floor<std::chrono::minutes>(std::chrono::seconds(parts.tm_gmtoff));
    return format_date(when, offset);
}

}  // namespace postrider::mail
