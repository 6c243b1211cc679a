#include "remote-delivery/capabilities.h"

#include <charconv>
#include <system_error>

#include "libcommon/mail/ascii.h"

namespace postrider::remote_delivery {
namespace {

/// The limit of `SIZE n`. A number beyond 64 bits limits nothing, and neither does anything that is no
/// number.
std::uint64_t size_limit_of(std::string_view argument) {
    std::uint64_t limit = 0;
    auto [end, error] = std::from_chars(argument.data(), argument.data() + argument.size(), limit);
    bool whole = end == argument.data() + argument.size();
    return error == std::errc() && whole ? limit : 0;
}

void note(std::string_view keyword, std::string_view argument, Capabilities& capabilities) {
    using mail::equal_ignoring_case;
    if (equal_ignoring_case(keyword, "PIPELINING")) {
        capabilities.pipelining = true;
    } else if (equal_ignoring_case(keyword, "8BITMIME")) {
        capabilities.eight_bit = true;
    } else if (equal_ignoring_case(keyword, "SMTPUTF8")) {
        capabilities.smtputf8 = true;
    } else if (equal_ignoring_case(keyword, "DSN")) {
        capabilities.dsn = true;
    } else if (equal_ignoring_case(keyword, "SIZE")) {
        capabilities.size = true;
        capabilities.size_limit = size_limit_of(argument);
    }
}

}  // namespace

Capabilities parse_capabilities(const std::vector<std::string>& lines) {
    Capabilities capabilities;
    capabilities.esmtp = true;
    for (std::size_t i = 1; i < lines.size(); ++i) {
        std::string_view line = lines[i];
        mail::skip_blanks(line);
        mail::trim_blanks_at_end(line);
        std::size_t end = line.find_first_of(" \t=");  // some old servers write SIZE=n
        std::string_view argument = end == std::string_view::npos ? std::string_view() : line.substr(end + 1);
        mail::skip_blanks(argument);
        note(line.substr(0, end), argument, capabilities);
    }
    return capabilities;
}

}  // namespace postrider::remote_delivery
