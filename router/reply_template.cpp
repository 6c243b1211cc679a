#include "router/reply_template.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "libcommon/mail/ascii.h"
#include "libcommon/mail/reply.h"
#include "libcommon/mail/utf8.h"

namespace postrider::router {

namespace {

constexpr std::size_t kCodeLength = 3;

bool begins_with_code(std::string_view reply) {
    return reply.size() > kCodeLength && reply[kCodeLength] == ' ' &&
           std::all_of(reply.begin(), reply.begin() + kCodeLength, mail::is_digit);
}

/// What is wrong with the placeholders of a text; empty if nothing is.
std::string_view placeholder_fault(std::string_view text) {
    for (std::size_t at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 2)) {
        const bool known =
            at + 1 < text.size() && std::string_view("isr%").find(text[at + 1]) != std::string_view::npos;
        if (!known) return "in a reply stand %i, %s, %r and %% only";
    }
    return {};
}

void append_printable(std::string& text, std::string_view fact) {
    for (const char octet : fact)
        text += mail::is_control(octet) ? '?' : octet;
}

}  // namespace

Result<ReplyTemplate> ReplyTemplate::parse(std::string_view reply, bool permanent) {
    ReplyTemplate parsed;
    const char wanted_class = permanent ? '5' : '4';
    if (begins_with_code(reply)) {
        if (reply.front() != wanted_class) {
            return postrider::permanent(permanent ? "the reply of a reject begins with 5"
                                                  : "the reply of a defer begins with 4");
        }
        std::from_chars(reply.data(), reply.data() + kCodeLength, parsed.code);
        reply.remove_prefix(kCodeLength + 1);
        const std::string_view word = reply.substr(0, reply.find(' '));
        if (const std::optional<mail::EnhancedCode> enhanced = mail::parse_enhanced_code(word)) {
            if (word.front() != wanted_class) {
                return postrider::permanent("the reply code and the enhanced code begin with the same digit");
            }
            parsed.enhanced = word;
            reply.remove_prefix(std::min(reply.size(), word.size() + 1));
        }
    }
    if (reply.empty()) return postrider::permanent("a reply without text");
    if (!mail::is_printable_utf8(reply)) return postrider::permanent("control character in a reply");
    if (const std::string_view fault = placeholder_fault(reply); !fault.empty()) {
        return postrider::permanent(std::string(fault));
    }
    parsed.text = reply;
    return parsed;
}

std::string ReplyTemplate::filled(const ReplyFacts& facts) const {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%' || i + 1 == text.size()) {
            result += text[i];
            continue;
        }
        ++i;
        if (text[i] == 'i') append_printable(result, facts.client);
        if (text[i] == 's') append_printable(result, facts.sender);
        if (text[i] == 'r') append_printable(result, facts.recipient);
        if (text[i] == '%') result += '%';
    }
    return result;
}

}  // namespace postrider::router
