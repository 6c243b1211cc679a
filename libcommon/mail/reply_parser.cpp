#include "libcommon/mail/reply_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "libcommon/mail/ascii.h"
#include "libcommon/mail/limits.h"
#include "libcommon/mail/utf8.h"

namespace postrider::mail {
namespace {

constexpr std::size_t kCodeDigits = 3;
constexpr std::size_t kLoggedPrefix = 80;

std::optional<ReplyCode> code_of(std::string_view line) {
    if (line.size() < kCodeDigits || !std::all_of(line.begin(), line.begin() + kCodeDigits, is_digit))
        return {};
    const int number = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
    return ReplyCode::from_number(number);
}

/// Takes an enhanced code of the reply's class from the front of `text`, with the blank behind it.
std::optional<EnhancedCode> take_enhanced_code(std::string_view& text, ReplyCode code) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const auto enhanced = parse_enhanced_code(text.substr(0, end));
    if (!enhanced || enhanced->code_class() != code.value() / 100) return {};
    text.remove_prefix(std::min(end + 1, text.size()));
    return enhanced;
}

void append_text(Reply& reply, std::string_view text) {
    std::string_view without_code = text;
    const auto enhanced = take_enhanced_code(without_code, reply.code);
    if (reply.lines.empty()) reply.enhanced = enhanced;
    // A later line that has another enhanced code keeps it as text: it is about something else.
    if (enhanced && enhanced == reply.enhanced) text = without_code;
    reply.lines.push_back(make_printable(text));
}

}  // namespace

Result<std::optional<Reply>> ReplyParser::feed(std::string_view line) {
    if (line.size() > kMaxReplyLineReceived) return temporary("reply line too long");
    const auto code = code_of(line);
    const char divider = line.size() > kCodeDigits ? line[kCodeDigits] : ' ';
    if (!code || (divider != ' ' && divider != '-')) {
        return temporary("not an SMTP reply: " +
                         make_printable(line.substr(0, utf8_cut(line, kLoggedPrefix))));
    }
    if (!reply_) reply_ = Reply{*code, std::nullopt, {}};
    if (reply_->code != *code) {
        return temporary(
            fmt::format("reply begins with {} and goes on with {}", reply_->code.value(), code->value()));
    }
    if (reply_->lines.size() == kMaxReplyLines) return temporary("reply has too many lines");
    append_text(*reply_, line.substr(std::min(kCodeDigits + 1, line.size())));
    if (divider == '-') return std::optional<Reply>();
    return std::exchange(reply_, std::nullopt);
}

}  // namespace postrider::mail
