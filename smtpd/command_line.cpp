#include "smtpd/command_line.h"

#include <algorithm>

#include "libcommon/mail/ascii.h"

namespace postrider::smtpd {

namespace {

// Enough to see which command a line began with.
constexpr std::size_t kBeginning = 32;

/// The first letters of the line, whatever stands in front of them.
std::string_view first_word(std::string_view line) {
    const auto is_letter = [](char octet) { return mail::is_letter(octet); };
    const auto* verb = std::find_if(line.begin(), line.end(), is_letter);
    const auto* end = std::find_if_not(verb, line.end(), is_letter);
    return {verb, static_cast<std::size_t>(end - verb)};
}

bool is_content_verb(std::string_view line) {
    const std::string_view word = first_word(line);
    return mail::equal_ignoring_case(word, "DATA") || mail::equal_ignoring_case(word, "BDAT");
}

}  // namespace

// Blanks in front do not count, or they could fill all the room there is.
void CommandLineReader::remember(std::string_view part) {
    if (beginning_.empty()) part.remove_prefix(std::min(part.find_first_not_of(" \t"), part.size()));
    beginning_ += part.substr(0, kBeginning - beginning_.size());
}

CommandLine CommandLineReader::next(std::string_view input) {
    CommandLine found;
    const std::size_t limit = begins_with_auth(input) ? auth_limit_ : limit_;
    const std::size_t end = input.find('\n');
    if (end == std::string_view::npos) {
        if (skipping_ || input.size() >= limit) {
            if (!skipping_) beginning_.clear();
            remember(input);
            skipping_ = true;
            found.consumed = input.size();
        }
        return found;
    }
    found.consumed = end + 1;
    if (skipping_) remember(input.substr(0, end));
    found.text = skipping_ ? std::string_view(beginning_) : input.substr(0, end);
    if (skipping_ || found.consumed > limit) {
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

bool begins_with_auth(std::string_view line) {
    return mail::equal_ignoring_case(first_word(line.substr(0, kBeginning)), "AUTH");
}

bool announces_content(std::string_view line) {
    constexpr std::string_view kLineEnds("\r\n\0", 3);
    while (true) {
        const std::size_t end = std::min(line.find_first_of(kLineEnds), line.size());
        if (is_content_verb(line.substr(0, end))) return true;
        if (end == line.size()) return false;
        line.remove_prefix(end + 1);
    }
}

}  // namespace postrider::smtpd
