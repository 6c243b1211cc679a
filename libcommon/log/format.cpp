#include "libcommon/log/format.h"

#include <fmt/format.h>
#include <sys/syslog.h>

#include <chrono>
#include <concepts>

#include "libcommon/log/escape.h"
#include "libcommon/log/sink.h"

namespace postrider::log {
namespace {

struct LevelName {
    std::string_view word;
    int syslog_priority;
};

LevelName level_name(Level level) {
    switch (level) {
        case Level::Debug:
            return {"debug", LOG_DEBUG};
        case Level::Info:
            return {"info", LOG_INFO};
        case Level::Warning:
            return {"warning", LOG_WARNING};
        case Level::Error:
            return {"error", LOG_ERR};
    }
    return {"error", LOG_ERR};
}

/// A number with leading zeros up to `width`. fmt::format might throw, which a line must not.
template <std::integral T>
void append_digits(Line::Buffer& line, T value, std::size_t width = 1) {
    fmt::format_int text(value);
    for (std::size_t length = text.size(); length < width; ++length)
        line.append("0");
    line.append({text.data(), text.size()});
}

/// RFC 3339, UTC, with milliseconds.
void append_time(Line::Buffer& line) {
    using std::chrono::floor;
    auto now = floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    auto day = floor<std::chrono::days>(now);
    std::chrono::year_month_day date(day);
    std::chrono::hh_mm_ss time(now - day);
    append_digits(line, static_cast<int>(date.year()), 4);
    line.append("-");
    append_digits(line, static_cast<unsigned>(date.month()), 2);
    line.append("-");
    append_digits(line, static_cast<unsigned>(date.day()), 2);
    line.append("T");
    append_digits(line, time.hours().count(), 2);
    line.append(":");
    append_digits(line, time.minutes().count(), 2);
    line.append(":");
    append_digits(line, time.seconds().count(), 2);
    line.append(".");
    append_digits(line, time.subseconds().count(), 3);
    line.append("Z");
}

void append_text_value(Line::Buffer& line, std::string_view before, std::string_view value,
                       std::string_view after) {
    std::string_view kept = cut_at_character(value, kMaximumValue);
    bool empty_word = value.empty() && !before.empty();
    bool quoted = !empty_word && !is_plain_word(kept);
    if (quoted) line.append("\"");
    line.append(before);
    bool whole = append_text_escaped(line, kept) && kept.size() == value.size();
    if (!whole) line.append("...");
    line.append(after);
    if (quoted) line.append("\"");
}

void append_json_value(Line::Buffer& line, std::string_view before, std::string_view value,
                       std::string_view after) {
    line.append("\"");
    line.append(before);
    bool whole = append_json_escaped(line, value);
    if (!whole) line.append("...");
    line.append(after);
    line.append("\"");
}

void append_key(Line::Buffer& line, std::string_view key) {
    bool json = settings().format == Format::Json;
    line.append(json ? ",\"" : " ");
    line.append(key);
    line.append(json ? "\":" : "=");
}

/// Appends a whole pair or nothing of it: half a pair would be read as another value. After the first pair
/// that has no room no other is taken.
template <typename Append>
void append_pair(Line::Buffer& line, std::string_view key, Append append_value) {
    if (line.overflow) return;
    std::size_t before = line.size;
    append_key(line, key);
    append_value();
    if (line.overflow) line.size = before;
}

void begin_text_line(Line::Buffer& line, LevelName level, std::string_view event) {
    if (!settings().journal) {
        append_time(line);
        line.append(" ");
    }
    line.append(settings().daemon);
    line.append("[");
    append_digits(line, settings().pid);
    line.append("] ");
    line.append(level.word);
    line.append(" ");
    append_text_value(line, "", event, "");
}

void begin_json_line(Line::Buffer& line, LevelName level, std::string_view event) {
    line.append("{");
    if (!settings().journal) {
        line.append("\"time\":\"");
        append_time(line);
        line.append("\",");
    }
    line.append("\"daemon\":");
    append_json_value(line, "", settings().daemon, "");
    line.append(",\"pid\":");
    append_digits(line, settings().pid);
    append_string(line, "level", "", level.word, "");
    append_string(line, "event", "", event, "");
}

}  // namespace

void begin_line(Line::Buffer& line, Level level, std::string_view event) noexcept {
    LevelName name = level_name(level);
    // The prefix is how a line on standard error tells journald its priority (sd-daemon(3)).
    if (settings().journal) {
        line.append("<");
        append_digits(line, name.syslog_priority);
        line.append(">");
    }
    if (settings().format == Format::Json) {
        begin_json_line(line, name, event);
    } else {
        begin_text_line(line, name, event);
    }
}

void append_bare(Line::Buffer& line, std::string_view key, std::string_view value) noexcept {
    append_pair(line, key, [&] { line.append(value); });
}

void append_number(Line::Buffer& line, std::string_view key, std::uint64_t value) noexcept {
    fmt::format_int text(value);
    append_bare(line, key, {text.data(), text.size()});
}

void append_seconds(Line::Buffer& line, std::string_view key, std::chrono::milliseconds value) noexcept {
    append_pair(line, key, [&] {
        std::int64_t count = value.count();
        // Negated as unsigned, because the smallest number has no positive counterpart.
        auto magnitude = static_cast<std::uint64_t>(count);
        if (count < 0) {
            line.append("-");
            magnitude = 0 - magnitude;
        }
        append_digits(line, magnitude / 1000);
        line.append(".");
        append_digits(line, magnitude % 1000, 3);
    });
}

void append_string(Line::Buffer& line, std::string_view key, std::string_view before, std::string_view value,
                   std::string_view after) noexcept {
    append_pair(line, key, [&] {
        if (settings().format == Format::Json) {
            append_json_value(line, before, value, after);
        } else {
            append_text_value(line, before, value, after);
        }
    });
}

void end_line(Line::Buffer& line) noexcept {
    bool json = settings().format == Format::Json;
    bool truncated = line.overflow;
    line.overflow = false;
    if (truncated) line.append_end(json ? ",\"truncated\":true" : " truncated=yes");
    line.append_end(json ? "}\n" : "\n");
}

}  // namespace postrider::log
