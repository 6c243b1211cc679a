#include "smtpd/command_line.h"

namespace postrider::smtpd {

CommandLine CommandLineReader::next(std::string_view input) {
    CommandLine found;
    const std::size_t end = input.find('\n');
    if (end == std::string_view::npos) {
        if (skipping_ || input.size() >= limit_) {
            skipping_ = true;
            found.consumed = input.size();
        }
        return found;
    }
    found.consumed = end + 1;
    if (skipping_ || found.consumed > limit_) {
        skipping_ = false;
        found.state = LineState::TooLong;
        return found;
    }
    if (end == 0 || input[end - 1] != '\r') {
        found.state = LineState::Malformed;
        return found;
    }
    found.text = input.substr(0, end - 1);
    constexpr std::string_view kForbidden("\r\0", 2);
    const bool clean = found.text.find_first_of(kForbidden) == std::string_view::npos;
    found.state = clean ? LineState::Complete : LineState::Malformed;
    return found;
}

}  // namespace postrider::smtpd
