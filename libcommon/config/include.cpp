// How a configuration is put together from files: `include`, and the paths it names.

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>

#include "libcommon/base/fd.h"
#include "libcommon/base/file.h"
#include "libcommon/config/language.h"

namespace postrider::config {

Result<std::string> DiskFiles::read(const std::string& path, std::size_t limit) {
    // O_NONBLOCK keeps the opening of a FIFO that somebody put there from waiting for a writer for ever.
    Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file) return system_failure("cannot be opened", errno);
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return system_failure("cannot be examined", errno);
    if (!S_ISREG(status.st_mode)) return temporary("is not a regular file");
    auto size = static_cast<std::size_t>(status.st_size);
    if (size > limit) return permanent(fmt::format("is larger than {} bytes", limit));
    return read_at(file, size, 0);
}

Result<std::vector<std::string>> DiskFiles::list(const std::string& directory) {
    DIR* stream = ::opendir(directory.c_str());
    if (stream == nullptr) return system_failure("cannot be listed", errno);
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(stream)) {
        names.emplace_back(static_cast<const char*>(entry->d_name));
    }
    static_cast<void>(::closedir(stream));
    return names;
}

std::string resolve_path(std::string_view directory, std::string_view path) {
    std::filesystem::path whole(path);
    if (whole.is_relative()) whole = std::filesystem::path(directory) / whole;
    return whole.lexically_normal().string();
}

namespace {

/// `DIR/*.conf` taken apart.
struct Pattern {
    std::string directory;
    std::string suffix;
};

std::optional<Pattern> parse_pattern(const std::string& path) {
    std::size_t slash = path.rfind('/');
    if (slash == std::string::npos || slash + 1 >= path.size() || path[slash + 1] != '*') return std::nullopt;
    return Pattern{path.substr(0, std::max<std::size_t>(slash, 1)), path.substr(slash + 2)};
}

class TreeReader {
  public:
    TreeReader(FileSource& source, const ParseLimits& limits, Errors& errors)
        : source_(source), limits_(limits), errors_(errors), size_left_(limits.total_size) {}

    /// Reads a file; `include` is the word that named it, or none for the first file.
    void read(const std::string& path, const Word* include) {
        auto directives = parse_file(path, include);
        open_.push_back(path);
        for (auto& directive : directives) {
            if (directive.name == "include") {
                follow(directive);
            } else {
                parsed_.directives.push_back(std::move(directive));
            }
        }
        open_.pop_back();
    }

    ParsedFiles take() { return std::move(parsed_); }

  private:
    std::vector<Directive> parse_file(const std::string& path, const Word* include) {
        if (!may_read(path, include)) return {};
        parsed_.files.push_back(path);
        auto text = source_.read(path, size_left_);
        if (!text) {
            complain(path, include, explain(text.error()));
            return {};
        }
        size_left_ -= text->size();
        return parse_text(*text, std::make_shared<const std::string>(path), errors_);
    }

    /// `include FILE as [KIND] CLASS`
    void follow_keys(Directive directive) {
        KeyFile file;
        const Word& word = directive.words.front();
        for (Directive& line : parse_file(resolve_path(word.position.directory(), word.text), &word)) {
            if (!line.words.empty() || !line.options.empty()) {
                errors_.add(line.position,
                            fmt::format("nothing may stand behind {}: there is one key a line", line.name));
                continue;
            }
            file.keys.push_back({std::move(line.name), std::move(line.position)});
        }
        file.include = std::move(directive);
        parsed_.key_files.push_back(std::move(file));
    }

    bool may_read(const std::string& path, const Word* include) {
        if (std::find(open_.begin(), open_.end(), path) != open_.end()) {
            complain(path, include, "includes itself");
            return false;
        }
        if (open_.size() >= limits_.include_depth) {
            complain(path, include, fmt::format("is more than {} files deep", limits_.include_depth));
            return false;
        }
        if (parsed_.files.size() >= limits_.files) {
            complain(path, include, fmt::format("is one file too many (at most {})", limits_.files));
            return false;
        }
        return true;
    }

    [[nodiscard]] std::string explain(const Error& error) const {
        if (error.temporary()) return error.text;
        return fmt::format("makes the configuration larger than {} bytes", limits_.total_size);
    }

    void complain(const std::string& path, const Word* include, const std::string& reason) {
        if (include == nullptr) {
            errors_.add(path, reason);
        } else {
            errors_.add(include->position, fmt::format("{} {}", path, reason));
        }
    }

    void follow(const Directive& directive) {
        constexpr std::size_t kMostWords = 4;
        const std::vector<Word>& words = directive.words;
        const bool named = !words.empty() && !words.front().text.empty() && directive.options.empty();
        const bool of_keys = words.size() > 1 && words[1].text == "as" && !words[1].quoted;
        if (named && of_keys && words.size() > 2 && words.size() <= kMostWords) {
            follow_keys(directive);
            return;
        }
        if (!named || words.size() != 1) {
            errors_.add(directive.position,
                        of_keys ? "include takes FILE as [KIND] CLASS"
                                : "include takes one word, FILE or DIR/*.SUFFIX, or FILE as [KIND] CLASS");
            return;
        }
        const Word& word = directive.words.front();
        std::string path = resolve_path(directive.position.directory(), word.text);
        auto pattern = word.quoted ? std::nullopt : parse_pattern(path);
        if (pattern) {
            follow_pattern(*pattern, word);
        } else {
            read(path, &word);
        }
    }

    void follow_pattern(const Pattern& pattern, const Word& word) {
        if (pattern.suffix.find_first_of("*?[") != std::string::npos) {
            errors_.add(word.position, "of patterns only DIR/*.SUFFIX is known");
            return;
        }
        parsed_.files.push_back(pattern.directory);
        auto names = source_.list(pattern.directory);
        if (!names) {
            complain(pattern.directory, &word, names.error().text);
            return;
        }
        std::sort(names->begin(), names->end());
        for (const auto& name : *names) {
            // Files with a leading dot are the leavings of editors and package managers.
            if (name.empty() || name.front() == '.' || !name.ends_with(pattern.suffix)) continue;
            read(resolve_path(pattern.directory, name), &word);
        }
    }

    FileSource& source_;
    const ParseLimits& limits_;
    Errors& errors_;
    std::size_t size_left_;
    std::vector<std::string> open_;  // the files that include each other, outermost first
    ParsedFiles parsed_;
};

}  // namespace

ParsedFiles parse_files(const std::string& path, FileSource& source, const ParseLimits& limits,
                        Errors& errors) {
    TreeReader reader(source, limits, errors);
    reader.read(path, nullptr);
    return reader.take();
}

}  // namespace postrider::config
