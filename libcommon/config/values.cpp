#include "libcommon/config/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace postrider::config {

namespace {

/// A unit letter and what it multiplies by. Tables go from the largest unit to the smallest.
struct Scale {
    char letter;
    std::uint64_t factor;
};

constexpr std::uint64_t kSecond = 1000;
constexpr std::array<Scale, 4> kDurations{
    {{'d', 86400 * kSecond}, {'h', 3600 * kSecond}, {'m', 60 * kSecond}, {'s', kSecond}}};
constexpr std::array<Scale, 4> kSizes{
    {{'T', 1ULL << 40U}, {'G', 1ULL << 30U}, {'M', 1ULL << 20U}, {'k', 1ULL << 10U}}};

/// Results stay below this, so that every value fits the signed types of the system and of std::chrono.
constexpr std::uint64_t kLargest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_letter(char c) {
    return lower(c) >= 'a' && lower(c) <= 'z';
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool parse_number(std::string_view text, std::uint64_t& out) {
    const char* end = text.data() + text.size();
    auto [stop, error] = std::from_chars(text.data(), end, out);
    return error == std::errc() && stop == end && out <= kLargest;
}

bool multiply(std::uint64_t& value, std::uint64_t factor) {
    if (value > kLargest / factor) return false;
    value *= factor;
    return true;
}

}  // namespace

Result<Milliseconds> parse_duration(std::string_view text) {
    auto wrong = [&] {
        return permanent(fmt::format("\"{}\" is not a duration such as 90s, 15m, 2h or 5d", text));
    };
    std::uint64_t value = 0;
    if (text == "0") return Milliseconds(0);
    if (text.empty() || !parse_number(text.substr(0, text.size() - 1), value)) return wrong();
    for (const auto& scale : kDurations) {
        if (text.back() != scale.letter) continue;
        if (!multiply(value, scale.factor)) return wrong();
        return Milliseconds(static_cast<Milliseconds::rep>(value));
    }
    return wrong();
}

Result<std::vector<Milliseconds>> parse_durations(std::string_view text) {
    std::vector<Milliseconds> values;
    for (std::string_view rest = text;;) {
        std::size_t comma = rest.find(',');
        auto value = parse_duration(rest.substr(0, comma));
        if (!value) return failure(value.error());
        if (value->count() == 0) return permanent("a duration of zero is not allowed in a list");
        values.push_back(*value);
        if (comma == std::string_view::npos) return values;
        rest.remove_prefix(comma + 1);
    }
}

Result<std::uint64_t> parse_size(std::string_view text) {
    std::uint64_t value = 0;
    std::uint64_t factor = 1;
    std::string_view digits = text;
    for (const auto& scale : kSizes) {
        if (text.empty() || lower(text.back()) != lower(scale.letter)) continue;
        factor = scale.factor;
        digits.remove_suffix(1);
        break;
    }
    if (!parse_number(digits, value) || !multiply(value, factor)) {
        return permanent(fmt::format("\"{}\" is not a size such as 512, 64k, 30M or 1G", text));
    }
    return value;
}

Result<std::uint64_t> parse_count(std::string_view text) {
    std::uint64_t value = 0;
    if (!parse_number(text, value)) return permanent(fmt::format("\"{}\" is not a number", text));
    return value;
}

Result<unsigned> parse_percentage(std::string_view text) {
    std::uint64_t value = 0;
    bool valid = text.ends_with('%') && parse_number(text.substr(0, text.size() - 1), value) && value <= 100;
    if (!valid) return permanent(fmt::format("\"{}\" is not a percentage (0% to 100%)", text));
    return static_cast<unsigned>(value);
}

Result<bool> parse_boolean(std::string_view text) {
    if (text == "yes") return true;
    if (text == "no") return false;
    return permanent(fmt::format("\"{}\" is neither yes nor no", text));
}

Result<Rate> parse_rate(std::string_view text) {
    std::size_t slash = text.find('/');
    auto wrong = [&] { return permanent(fmt::format("\"{}\" is not a rate such as 300/1h", text)); };
    if (slash == std::string_view::npos) return wrong();
    auto count = parse_count(text.substr(0, slash));
    auto period = parse_duration(text.substr(slash + 1));
    if (!count || !period || period->count() == 0) return wrong();
    return Rate{*count, *period};
}

bool FreeFloor::satisfied(std::uint64_t available, std::uint64_t total) const {
    if (available < amount) return false;
    // Divided before multiplied, since file systems are larger than 2^64 / 100 bytes; the few bytes lost by
    // rounding do not matter.
    return available >= total / 100 * percent;
}

std::string format_duration(Milliseconds value) {
    auto count = static_cast<std::uint64_t>(value.count());
    if (count == 0) return "0";
    for (const auto& scale : kDurations) {
        if (count % scale.factor == 0) return fmt::format("{}{}", count / scale.factor, scale.letter);
    }
    return fmt::format("{}ms", count);
}

std::string format_durations(const std::vector<Milliseconds>& values) {
    std::string text;
    for (const auto& value : values) {
        if (!text.empty()) text += ',';
        text += format_duration(value);
    }
    return text;
}

std::string format_rate(const Rate& value) {
    return fmt::format("{}/{}", value.count, format_duration(value.period));
}

std::string format_size(std::uint64_t value) {
    for (const auto& scale : kSizes) {
        if (value != 0 && value % scale.factor == 0) {
            return fmt::format("{}{}", value / scale.factor, scale.letter);
        }
    }
    return fmt::format("{}", value);
}

Result<std::string> parse_host_name(std::string_view text) {
    constexpr std::size_t kLongestName = 255;  // RFC 1035, 2.3.4
    constexpr std::size_t kLongestLabel = 63;
    auto wrong = [&](std::string_view why) {
        return permanent(fmt::format("\"{}\" is not a host name: {}", text, why));
    };
    if (text.size() > kLongestName) return wrong("longer than 255 octets");
    if (text.find('.') == std::string_view::npos) return wrong("it must contain a dot");
    std::size_t label = 0;
    for (std::size_t i = 0; i <= text.size(); ++i) {
        bool ends = i == text.size() || text[i] == '.';
        if (!ends && !is_letter(text[i]) && !is_digit(text[i]) && text[i] != '-') {
            return wrong("only letters, digits, - and . are allowed");
        }
        if (!ends) {
            ++label;
            continue;
        }
        if (label == 0) return wrong("a label is empty");
        if (label > kLongestLabel) return wrong("a label is longer than 63 octets");
        if (text[i - 1] == '-' || text[i - label] == '-') return wrong("a label begins or ends with -");
        label = 0;
    }
    std::string name(text);
    std::transform(name.begin(), name.end(), name.begin(), lower);
    return name;
}

}  // namespace postrider::config
