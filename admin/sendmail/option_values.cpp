#include "admin/sendmail/option_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "libcommon/mail/ascii.h"
#include "libcommon/mail/utf8.h"
#include "libcommon/mail/xtext.h"

namespace postrider::admin {

namespace {

// RFC 3461, 4.4.
constexpr std::size_t kMaxEnvid = 100;

/// Settings that would send the message another way, which nobody can ask of a running suite. To ignore them
/// would be to do something else than the caller wants.
constexpr std::array<std::string_view, 2> kImpossible = {"QueueDirectory", "AliasFile"};
constexpr std::string_view kImpossibleLetters = "AQ";

tl::unexpected<Error> impossible(std::string_view setting) {
    return permanent(
        fmt::format("setting {} cannot be made by a caller; it belongs into postrider.conf", setting));
}

}  // namespace

Result<std::string> parse_notify(std::string_view text) {
    constexpr std::array<std::string_view, 4> kWords = {"NEVER", "SUCCESS", "FAILURE", "DELAY"};
    std::vector<std::string> chosen;
    while (true) {
        const std::size_t comma = text.find(',');
        const std::string word = mail::to_upper(text.substr(0, comma));
        const bool known = std::find(kWords.begin(), kWords.end(), word) != kWords.end();
        const bool is_new = std::find(chosen.begin(), chosen.end(), word) == chosen.end();
        if (!known || !is_new) chosen.clear();
        if (!known || !is_new) break;
        chosen.push_back(word);
        if (comma == std::string_view::npos) break;
        text.remove_prefix(comma + 1);
    }
    const bool has_never = std::find(chosen.begin(), chosen.end(), kWords.front()) != chosen.end();
    if (chosen.empty() || (has_never && chosen.size() > 1)) {
        return permanent("option -N takes \"never\", or a list of \"success\", \"failure\" and \"delay\"");
    }
    return fmt::format("{}", fmt::join(chosen, ","));
}

Result<std::string> parse_ret(std::string_view text) {
    std::string ret = mail::to_upper(text);
    if (ret != "FULL" && ret != "HDRS") return permanent("option -R takes \"full\" or \"hdrs\"");
    return ret;
}

Result<std::string> parse_envid(std::string_view text) {
    std::string envid = mail::encode_xtext(text);
    if (envid.empty() || envid.size() > kMaxEnvid || !mail::is_printable_utf8(text)) {
        return permanent(fmt::format(
            "option -V takes 1 to {} printable characters (three for each \"+\", \"=\", blank, or octet of a "
            "letter beyond ASCII)",
            kMaxEnvid));
    }
    return envid;
}

Result<std::vector<std::string>> parse_flush(std::string_view text) {
    using Words = std::vector<std::string>;
    // "f" and "ff" ask other mailers for the same in the foreground.
    if (text.empty() || text == "f" || text == "ff") return Words{"--all"};
    const char kind = text.front();
    std::string value(text.substr(1));
    if (kind == 'R' && value.starts_with('@')) value.erase(0, 1);
    const bool has_value = !value.empty() && value.front() != '-';
    if (kind == 'I' && has_value) return Words{"--id", value};
    if (kind == 'S' && has_value) return Words{"--sender", value};
    if (kind == 'R' && has_value && value.find('@') == std::string::npos) return Words{"--domain", value};
    return permanent(
        fmt::format("option -q{} is not supported: -q takes nothing, R and a recipient domain, I and a queue "
                    "id, or S and "
                    "a sender address",
                    text));
}

Result<Setting> parse_short_setting(std::string_view text) {
    if (text.empty()) return permanent("option -o needs a value");
    if (kImpossibleLetters.find(text.front()) != std::string_view::npos) return impossible(text.substr(0, 1));
    return text == "i" ? Setting::DotIsText : Setting::Ignored;
}

Result<Setting> parse_long_setting(std::string_view text) {
    const std::string_view name = text.substr(0, text.find('='));
    for (const std::string_view one : kImpossible) {
        if (mail::equal_ignoring_case(name, one)) return impossible(one);
    }
    const std::string_view value = name.size() == text.size() ? "true" : text.substr(name.size() + 1);
    const bool is_on =
        !value.empty() && (mail::to_lower(value.front()) == 't' || mail::to_lower(value.front()) == 'y');
    return mail::equal_ignoring_case(name, "IgnoreDots") && is_on ? Setting::DotIsText : Setting::Ignored;
}

}  // namespace postrider::admin
