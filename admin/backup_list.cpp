#include "admin/backup_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>

#include "admin/replace_file.h"
#include "libcommon/config/surroundings.h"
#include "libcommon/mail/domain.h"

namespace postrider::admin {

namespace {

using config::Directive;
using Kind = BackupChange::Kind;

constexpr std::string_view kLine = "mxbackup";
constexpr std::string_view kSwitch = "mxbackup_enabled";
constexpr std::string_view kSubdomains = "subdomains";
constexpr std::string_view kDisabled = "disabled";

std::string canonical(const std::string& domain) {
    const Result<mail::Domain> parsed = mail::parse_domain(domain);
    return parsed ? parsed->name() : domain;
}

bool is_line_of(const Directive& line, const std::string& domain) {
    return line.name == kLine && !line.words.empty() && canonical(line.words.front().text) == domain;
}

// ---- places in a text
// ----------------------------------------------------------------------------------------

/// Where line number `line`, counted from 1, begins.
std::size_t start_of(std::string_view text, std::uint32_t line) {
    std::size_t start = 0;
    for (std::uint32_t at = 1; at < line && start < text.size(); ++at) {
        const std::size_t end = text.find('\n', start);
        start = end == std::string_view::npos ? text.size() : end + 1;
    }
    return start;
}

std::size_t place_of(std::string_view text, const config::Position& position) {
    return start_of(text, position.line) + position.column - 1;
}

/// Behind the last character of a word, its quotes included.
std::size_t end_of_word(std::string_view text, std::size_t start) {
    const bool quoted = start < text.size() && text[start] == '"';
    std::size_t end = quoted ? start + 1 : start;
    while (end < text.size()) {
        const char c = text[end];
        if (quoted && c == '"') return end + 1;
        if (quoted && c == '\\') ++end;
        if (!quoted && (c == ' ' || c == '\t' || c == '\r' || c == '\n')) break;
        ++end;
    }
    return std::min(end, text.size());
}

/// Behind the line end of what begins at `start`, with the lines that continue it. A `\` ends a comment as
/// any other character does.
std::size_t end_of_line(std::string_view text, std::size_t start) {
    while (start < text.size()) {
        const std::size_t found = text.find('\n', start);
        const std::size_t next = found == std::string_view::npos ? text.size() : found + 1;
        std::string_view line = text.substr(start, next - start);
        const bool comment = line.starts_with('#') || line.find(" #") != std::string_view::npos ||
                             line.find("\t#") != std::string_view::npos;
        while (line.ends_with('\n') || line.ends_with('\r'))
            line.remove_suffix(1);
        if (comment || !line.ends_with('\\')) return next;
        start = next;
    }
    return start;
}

std::string with_line(std::string_view text, std::size_t place, std::string_view line) {
    std::string out(text.substr(0, place));
    if (!out.empty() && out.back() != '\n') out += '\n';
    out += line;
    out += '\n';
    return out.append(text.substr(place));
}

std::string without(std::string_view text, std::size_t from, std::size_t to) {
    return std::string(text.substr(0, from)).append(text.substr(to));
}

// ---- the changes
// ---------------------------------------------------------------------------------------------

std::string line_text(const BackupChange& change) {
    return fmt::format("{} {}{}", kLine, change.domain, change.subdomains ? " subdomains" : "");
}

/// The text with a new line behind the last of its kind, or at the end.
std::string with_new_line(std::string_view text, const std::vector<Directive>& lines, std::string_view line) {
    const auto last = std::find_if(lines.rbegin(), lines.rend(),
                                   [](const Directive& directive) { return directive.name == kLine; });
    const std::size_t place =
        last == lines.rend() ? text.size() : end_of_line(text, start_of(text, last->position.line));
    return with_line(text, place, line);
}

std::string with_flag(std::string_view text, const Directive& line, bool disabled) {
    const auto flag = std::find_if(line.words.begin() + 1, line.words.end(), [](const config::Word& word) {
        return !word.quoted && word.text == kDisabled;
    });
    if ((flag != line.words.end()) == disabled) return std::string(text);
    if (disabled) {
        std::string out(text);
        return out.insert(end_of_word(text, place_of(text, line.words.back().position)),
                          fmt::format(" {}", kDisabled));
    }
    std::size_t from = place_of(text, flag->position);
    const std::size_t to = end_of_word(text, from);
    while (from > 0 && (text[from - 1] == ' ' || text[from - 1] == '\t'))
        --from;
    return without(text, from, to);
}

std::string with_switch(std::string_view text, const std::vector<Directive>& lines, bool enabled) {
    const std::string_view value = enabled ? "yes" : "no";
    const auto found = std::find_if(lines.begin(), lines.end(),
                                    [](const Directive& directive) { return directive.name == kSwitch; });
    if (found == lines.end() || found->words.empty()) {
        return enabled ? std::string(text) : with_new_line(text, lines, fmt::format("{} no", kSwitch));
    }
    const std::size_t from = place_of(text, found->words.front().position);
    return std::string(text).replace(from, end_of_word(text, from) - from, value);
}

// ---- the proof
// -----------------------------------------------------------------------------------------------

/// The files of the disk, but one with another text.
class OtherText : public config::FileSource {
  public:
    OtherText(std::string path, std::string text) : path_(std::move(path)), text_(std::move(text)) {}

    Result<std::string> read(const std::string& path, std::size_t limit) override {
        if (path != path_) return disk_.read(path, limit);
        if (text_.size() > limit) return permanent("is too large");
        return text_;
    }
    Result<std::vector<std::string>> list(const std::string& directory) override {
        return disk_.list(directory);
    }

  private:
    std::string path_;
    std::string text_;
    config::DiskFiles disk_;
};

/// The whole configuration but the list and the places of lines.
std::string all_but_the_list(const config::Settings& settings) {
    std::string text;
    for (const Directive& line : settings.tables) {
        if (line.name == kLine) continue;
        text += line.name;
        for (const config::Word& word : line.words)
            text += fmt::format("\n{}{}", word.quoted ? '"' : ' ', word.text);
        for (const config::Option& option : line.options)
            text += fmt::format("\n={} {}", option.key, option.value);
        text += "\n\n";
    }
    for (const auto& [name, position] : settings.origins)
        if (name != kSwitch) text += name + '\n';
    return text;
}

Result<config::Settings> load(const std::string& config_file, config::FileSource& files) {
    // A name of the system or resolvers have no part in it, so none are looked for.
    config::Surroundings surroundings{&files, [] { return std::string("mx.invalid"); }, "/dev/null"};
    config::LoadResult loaded = config::load(config_file, surroundings);
    if (loaded.settings) return std::move(*loaded.settings);
    return permanent(
        fmt::format("the configuration has errors, so it is not edited: {}", loaded.errors.front()));
}

}  // namespace

BackupList backup_list(const config::Settings& settings) {
    BackupList list;
    list.enabled = settings.mxbackup_enabled;
    for (const Directive* line : settings.table(kLine)) {
        list.lines.push_back({canonical(line->words.front().text), line->has_flag(kSubdomains),
                              line->has_flag(kDisabled), line->position});
    }
    return list;
}

Result<BackupList> changed(BackupList list, const BackupChange& change) {
    if (change.domain.empty()) {
        list.enabled = change.kind == Kind::Enable;
        return list;
    }
    const auto line = std::find_if(list.lines.begin(), list.lines.end(),
                                   [&](const BackupLine& one) { return one.domain == change.domain; });
    const bool there = line != list.lines.end();
    if (change.kind == Kind::Add) {
        if (there && line->subdomains == change.subdomains) return list;
        if (there) {
            return permanent(fmt::format("{} is there already, {} its sub-domains, at {}: delete it first",
                                         change.domain, line->subdomains ? "with" : "without",
                                         line->position.line_text()));
        }
        list.lines.push_back({change.domain, change.subdomains, false, {}});
        return list;
    }
    if (!there) return permanent(fmt::format("there is no mxbackup line of {}", change.domain));
    if (change.kind == Kind::Delete) {
        list.lines.erase(line);
    } else {
        line->disabled = change.kind == Kind::Disable;
    }
    return list;
}

std::string file_to_edit(const config::Settings& settings, const BackupChange& change) {
    const std::vector<const Directive*> lines = settings.table(kLine);
    if (change.domain.empty() && !settings.origin(kSwitch).is_default())
        return *settings.origin(kSwitch).file;
    if (!change.domain.empty() && change.kind != Kind::Add) {
        for (const Directive* line : lines)
            if (is_line_of(*line, change.domain)) return *line->position.file;
    }
    if (!lines.empty()) return *lines.back()->position.file;
    for (const std::string& file : settings.files)
        if (std::filesystem::path(file).filename() == "domains") return file;
    return settings.config_file;
}

std::string edited(std::string_view text, const std::string& path, const BackupChange& change) {
    config::Errors errors(1);
    const auto lines = config::parse_text(text, std::make_shared<const std::string>(path), errors);
    if (change.kind == Kind::Add) return with_new_line(text, lines, line_text(change));
    if (change.domain.empty()) return with_switch(text, lines, change.kind == Kind::Enable);
    const auto line = std::find_if(lines.begin(), lines.end(),
                                   [&](const Directive& one) { return is_line_of(one, change.domain); });
    if (line == lines.end()) return std::string(text);
    if (change.kind == Kind::Delete) {
        const std::size_t start = start_of(text, line->position.line);
        return without(text, start, end_of_line(text, start));
    }
    return with_flag(text, *line, change.kind == Kind::Disable);
}

Result<BackupList> change_list(const std::string& config_file, const BackupChange& change) {
    std::error_code error;
    const std::string path = std::filesystem::absolute(config_file, error).string();
    const Result<EditLock> lock = EditLock::take(path);
    if (!lock) return failure(lock.error());
    config::DiskFiles disk;
    const Result<config::Settings> before = load(path, disk);
    if (!before) return failure(before.error());
    const BackupList list = backup_list(*before);
    Result<BackupList> wanted = changed(list, change);
    if (!wanted || *wanted == list) return wanted;

    const std::string target = file_to_edit(*before, change);
    const Result<EditedFile> file = EditedFile::read(target, before->limits.size(config::Limit::ConfigSize));
    if (!file) return failure(file.error());
    const std::string text = edited(file->text(), target, change);
    OtherText files(target, text);
    const Result<config::Settings> after = load(path, files);
    // The order of the lines means nothing; a new one may stand before lines of other files.
    const auto sorted = [](BackupList unsorted) {
        std::sort(unsorted.lines.begin(), unsorted.lines.end(),
                  [](const BackupLine& a, const BackupLine& b) { return a.domain < b.domain; });
        return unsorted;
    };
    if (!after || sorted(backup_list(*after)) != sorted(*wanted) ||
        all_but_the_list(*after) != all_but_the_list(*before)) {
        return permanent(fmt::format("{} cannot be changed safely; edit it by hand", target));
    }
    const Result<void> replaced = file->replace(text);
    if (!replaced) return failure(replaced.error());
    return backup_list(*after);
}

std::string backup_list_text(const BackupList& list) {
    std::string text;
    if (!list.enabled) text += "mxbackup_enabled is no: nothing is accepted for these domains\n";
    std::size_t width = 0;
    for (const BackupLine& line : list.lines)
        width = std::max(width, line.domain.size());
    for (const BackupLine& line : list.lines) {
        text +=
            fmt::format("{:{}}  {:10}  {:8}  {}\n", line.domain, width, line.subdomains ? kSubdomains : "",
                        line.disabled ? kDisabled : "enabled", line.position.line_text());
    }
    return text;
}

}  // namespace postrider::admin
