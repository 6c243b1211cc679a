#include "router/pattern_table.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <array>
#include <optional>
#include <utility>

#include "libcommon/mail/ascii.h"
#include "router/glob.h"

namespace postrider::router {

namespace {

using config::Errors;
using config::Position;

/// Longest regular expression, and groups that are kept: $1 to $9.
constexpr std::size_t kLongestExpression = 1000;
constexpr std::uint32_t kGroups = 10;
constexpr std::uint32_t kHeapKibibytes = 1024;

/// Where the pattern of a line ends, counted with its closing slash; npos if it does not.
std::size_t end_of_expression(std::string_view line) {
    for (std::size_t at = 1; at < line.size(); ++at) {
        if (line[at] == '\\') {
            ++at;
        } else if (line[at] == '/') {
            return at + 1;
        }
    }
    return std::string_view::npos;
}

std::size_t end_of_glob(std::string_view line, PatternSeparator separator) {
    for (std::size_t at = 0; at < line.size(); ++at) {
        if (line[at] == '\\') {
            ++at;
        } else if (separator == PatternSeparator::Colon ? line[at] == ':' : mail::is_blank(line[at])) {
            return at;
        }
    }
    return separator == PatternSeparator::Colon ? std::string_view::npos : line.size();
}

std::optional<PatternLine> read_pattern_line(std::string_view line, const Position& position, bool regex,
                                             PatternSeparator separator, Errors& errors) {
    if (regex && line.front() != '/') {
        errors.add(position, "a line begins with a regular expression between slashes");
        return std::nullopt;
    }
    const std::size_t end = regex ? end_of_expression(line) : end_of_glob(line, separator);
    if (end == std::string_view::npos) {
        errors.add(position,
                   regex ? "the / behind the regular expression is missing" : "expected PATTERN: …");
        return std::nullopt;
    }
    std::string_view pattern = regex ? line.substr(1, end - 2) : line.substr(0, end);
    std::string_view value = line.substr(end);
    if (!regex) mail::trim_blanks_at_end(pattern);
    if (separator == PatternSeparator::Colon) {
        mail::skip_blanks(value);
        if (!value.starts_with(':')) {
            errors.add(position, "expected PATTERN: DESTINATION, …");
            return std::nullopt;
        }
        value.remove_prefix(1);
    } else if (!value.empty() && !mail::is_blank(value.front())) {
        errors.add(position, "expected a blank behind the pattern");
        return std::nullopt;
    }
    Position value_position = position;
    value_position.column = static_cast<std::uint32_t>(line.size() - value.size() + 1);
    return PatternLine{std::string(pattern), std::string(value), position, value_position};
}

struct FreeCode {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatch {
    void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
};
struct FreeContext {
    void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
using Code = std::unique_ptr<pcre2_code, FreeCode>;

PCRE2_SPTR octets(std::string_view text) {
    return reinterpret_cast<PCRE2_SPTR>(text.data());
}

std::string reason_of(int error) {
    std::array<PCRE2_UCHAR, 128> text{};
    pcre2_get_error_message(error, text.data(), text.size());
    return reinterpret_cast<const char*>(text.data());
}

/// A line ready to be asked.
struct Entry {
    Code code;                 // of a regular expression
    std::optional<Glob> glob;  // of a shell pattern
    std::string value;
    Position position;
    Position value_position;
};

class PatternTable : public Table {
  public:
    PatternTable(std::vector<Entry> entries, const PatternLimits& limits)
        : entries_(std::move(entries)), context_(pcre2_match_context_create(nullptr)) {
        pcre2_set_match_limit(context_.get(), limits.match);
        pcre2_set_depth_limit(context_.get(), limits.match);
        pcre2_set_heap_limit(context_.get(), kHeapKibibytes);
    }

    [[nodiscard]] TableAnswer find(std::string_view name) const override {
        for (const Entry& entry : entries_) {
            TableEntry found;
            const Result<bool> matches = match(entry, name, found.captures);
            if (!matches) return failure(matches.error());
            if (!*matches) continue;
            found.name = name;
            found.value = entry.value;
            found.position = entry.position;
            found.value_position = entry.value_position;
            return std::optional<TableEntry>(std::move(found));
        }
        return std::optional<TableEntry>();
    }
    [[nodiscard]] std::size_t memory() const override {
        return sizeof *this + entries_.size() * sizeof(Entry);
    }

  private:
    [[nodiscard]] Result<bool> match(const Entry& entry, std::string_view name,
                                     std::vector<std::string>& captures) const {
        if (entry.glob) return entry.glob->matches(name);
        const std::unique_ptr<pcre2_match_data, FreeMatch> data(pcre2_match_data_create(kGroups, nullptr));
        const int matched =
            pcre2_match(entry.code.get(), octets(name), name.size(), 0, 0, data.get(), context_.get());
        if (matched == PCRE2_ERROR_NOMATCH) return false;
        if (matched < 0) {
            return temporary(fmt::format("{}: {}", entry.position.line_text(), reason_of(matched)));
        }
        const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data.get());
        captures.resize(kGroups);
        const auto groups = matched == 0 ? kGroups : static_cast<std::uint32_t>(matched);
        for (std::uint32_t group = 0; group < groups; ++group) {
            const PCRE2_SIZE begin = ends[std::size_t{2} * group];
            const PCRE2_SIZE end = ends[std::size_t{2} * group + 1];
            if (begin != PCRE2_UNSET && begin <= end) captures[group] = name.substr(begin, end - begin);
        }
        return true;
    }

    std::vector<Entry> entries_;
    std::unique_ptr<pcre2_match_context, FreeContext> context_;
};

Code compile(const PatternLine& line, Errors& errors) {
    if (line.pattern.size() > kLongestExpression) {
        errors.add(line.position, "the regular expression is too long");
        return nullptr;
    }
    int error = 0;
    PCRE2_SIZE offset = 0;
    constexpr std::uint32_t kOptions = PCRE2_UTF | PCRE2_CASELESS | PCRE2_NEVER_BACKSLASH_C;
    Code code(pcre2_compile(octets(line.pattern), line.pattern.size(), kOptions, &error, &offset, nullptr));
    if (!code) {
        Position position = line.position;
        position.column += static_cast<std::uint32_t>(offset) + 1;
        errors.add(position, reason_of(error));
    }
    return code;
}

}  // namespace

std::vector<PatternLine> read_pattern_file(std::string_view text,
                                           const std::shared_ptr<const std::string>& file, bool regex,
                                           PatternSeparator separator, Errors& errors) {
    std::vector<PatternLine> lines;
    for (std::uint32_t number = 1; !text.empty(); ++number) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        if (line.ends_with('\r')) line.remove_suffix(1);
        const std::size_t first = line.find_first_not_of(" \t");
        if (first == std::string_view::npos || line[first] == '#') continue;
        const Position position{file, number, 1};
        if (first > 0) {
            errors.add(position, "a line of a pattern begins with the pattern");
        } else if (auto read = read_pattern_line(line, position, regex, separator, errors)) {
            lines.push_back(std::move(*read));
        }
    }
    return lines;
}

std::unique_ptr<const Table> make_pattern_table(const std::vector<PatternLine>& lines, bool regex,
                                                const PatternLimits& limits, Errors& errors) {
    std::vector<Entry> entries;
    for (const PatternLine& line : lines) {
        if (entries.size() == limits.patterns) {
            errors.add(line.position, fmt::format("more than {} patterns", limits.patterns));
            break;
        }
        Entry entry;
        if (regex) {
            entry.code = compile(line, errors);
            if (!entry.code) continue;
        } else {
            Result<Glob> glob = Glob::parse(line.pattern);
            if (!glob) {
                errors.add(line.position, glob.error().text);
                continue;
            }
            entry.glob = std::move(*glob);
        }
        entry.value = line.value;
        entry.position = line.position;
        entry.value_position = line.value_position;
        entries.push_back(std::move(entry));
    }
    return std::make_unique<PatternTable>(std::move(entries), limits);
}

}  // namespace postrider::router
