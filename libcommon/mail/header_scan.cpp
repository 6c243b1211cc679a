#include "libcommon/mail/header_scan.h"

#include <fmt/format.h>

#include <algorithm>

#include "libcommon/mail/ascii.h"
#include "libcommon/mail/limits.h"

namespace postrider::mail {
namespace {

void append_bounded(std::string& kept, std::string_view text) {
    kept += text.substr(0, kMaxFieldKept - std::min(kept.size(), kMaxFieldKept));
}

/// The length of the field name at the front of `line` if a header field begins there, else 0. Blanks between
/// name and colon are accepted as the obsolete syntax of RFC 5322 4.5.8 has them.
std::size_t field_name_length(std::string_view line) {
    std::size_t length = 0;
    while (length < line.size() && !is_control(line[length]) && line[length] != ' ' && line[length] != ':')
        ++length;
    std::string_view rest = line.substr(length);
    skip_blanks(rest);
    return rest.starts_with(':') ? length : 0;
}

std::string_view field_value(std::string_view field) {
    std::string_view value = field.substr(field.find(':') + 1);
    skip_blanks(value);
    trim_blanks_at_end(value);
    return value;
}

/// Removes a comment, which may hold others, from the front of `text`; one that is not closed reaches to the
/// end.
void skip_comment(std::string_view& text) {
    std::size_t depth = 0;
    std::size_t position = 0;
    for (; position < text.size(); ++position) {
        if (text[position] == '\\')
            ++position;
        else if (text[position] == '(')
            ++depth;
        else if (text[position] == ')' && --depth == 0)
            break;
    }
    text.remove_prefix(std::min(position + 1, text.size()));
}

/// Takes the next word outside of comments from the value of a Received field; empty at the end of its
/// clauses.
std::string_view take_word(std::string_view& value) {
    skip_blanks(value);
    while (value.starts_with('(')) {
        skip_comment(value);
        skip_blanks(value);
    }
    const std::size_t end = std::min(value.find_first_of(" \t(;"), value.size());
    const std::string_view word = value.substr(0, end);
    value.remove_prefix(end);
    return word;
}

/// The host behind `by` in the value of a Received field, RFC 5321 4.4. The word behind `from` is what the
/// client called itself, so it must not be mistaken for a keyword.
std::string_view by_host(std::string_view value) {
    for (std::string_view word = take_word(value); !word.empty(); word = take_word(value)) {
        if (equal_ignoring_case(word, "by")) return take_word(value);
        if (equal_ignoring_case(word, "from")) take_word(value);
    }
    return {};
}

}  // namespace

std::string describe(HeaderFault fault) {
    switch (fault) {
        case HeaderFault::None:
            return {};
        case HeaderFault::TooLarge:
            return fmt::format("header larger than {} octets", kMaxHeader);
        case HeaderFault::TooManyFields:
            return fmt::format("more than {} header fields", kMaxHeaderFields);
    }
    return {};
}

void HeaderScanner::feed(std::string_view content) {
    while (!complete_ && !content.empty()) {
        const std::size_t line_feed = content.find('\n');
        const std::size_t length = std::min(line_feed, content.size());
        append_bounded(line_, content.substr(0, length));
        const std::size_t taken = std::min(length + 1, content.size());
        line_octets_ += taken;
        content.remove_prefix(taken);
        // Also inside a line, or one without end would never be too large.
        const bool too_large = octets_ + line_octets_ > kMaxHeader;
        if (too_large && (begins_field() || continues_field())) {
            end_header(HeaderFault::TooLarge);
        } else if (line_feed != std::string_view::npos) {
            end_line();
        } else if (too_large && line_.size() > 1) {
            // The first line of a body, which may have no end at all. (A single octet may be the CR of an
            // empty line.)
            end_header(HeaderFault::None);
        }
    }
}

void HeaderScanner::finish() {
    if (!complete_ && !line_.empty()) end_line();
    if (!complete_) end_header(HeaderFault::None);
}

bool HeaderScanner::begins_field() const {
    return field_name_length(line_) > 0;
}

bool HeaderScanner::continues_field() const {
    return fields_ > 0 && !line_.empty() && is_blank(line_.front());
}

void HeaderScanner::end_line() {
    if (line_.ends_with('\r')) line_.pop_back();
    if (line_.empty()) {
        octets_ += line_octets_;
        ended_by_empty_line_ = true;
        return end_header(HeaderFault::None);
    }
    if (continues_field()) {
        append_bounded(field_, line_);
    } else if (begins_field()) {
        end_field();
        begin_field(line_);
    } else {
        return end_header(HeaderFault::None);
    }
    octets_ += line_octets_;
    line_octets_ = 0;
    line_.clear();
}

void HeaderScanner::begin_field(std::string_view line) {
    if (fields_ == kMaxHeaderFields) return end_header(HeaderFault::TooManyFields);
    ++fields_;
    field_ = line;
}

void HeaderScanner::end_field() {
    const std::string_view field = field_;
    const std::string_view name = field.substr(0, field_name_length(field));
    if (equal_ignoring_case(name, "Received")) {
        ++received_;
        std::string_view host = by_host(field_value(field));
        if (host.ends_with('.')) host.remove_suffix(1);
        if (!host.empty() && equal_ignoring_case(host, hostname_)) ++received_by_us_;
    } else if (equal_ignoring_case(name, "Delivered-To") && delivered_to_.size() < kMaxDeliveredToKept) {
        delivered_to_.emplace_back(field_value(field));
    }
    has_date_ = has_date_ || equal_ignoring_case(name, "Date");
    has_message_id_ = has_message_id_ || equal_ignoring_case(name, "Message-ID");
    field_.clear();
}

void HeaderScanner::end_header(HeaderFault fault) {
    end_field();
    complete_ = true;
    fault_ = fault;
    line_.clear();
}

}  // namespace postrider::mail
