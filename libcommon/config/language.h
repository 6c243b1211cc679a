#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/result.h"

/// The configuration language (design, section 8): text in, directives out. Nothing here knows what a
/// directive means; that is the business of directives.h and settings.h.
namespace postrider::config {

/// Where a word stands. Lines and columns count from 1, columns in bytes. A position without a file means
/// that nobody wrote the value: it is the default.
struct Position {
    std::shared_ptr<const std::string> file;
    std::uint32_t line = 0;
    std::uint32_t column = 0;

    [[nodiscard]] bool is_default() const { return file == nullptr; }

    /// "file:line:column", as errors begin; "default" without a file.
    [[nodiscard]] std::string text() const;

    /// "file:line", the form of log lines (`rule=`) and of `postrider config`; "default" without a file.
    [[nodiscard]] std::string line_text() const;

    /// The folder of the file, to which relative paths in it refer; "." for a file name without a slash.
    [[nodiscard]] std::string directory() const;
};

/// One word after the name. A quoted word is taken as it is: never an option, never a flag.
struct Word {
    std::string text;
    Position position;
    bool quoted = false;
};

/// One `key=value` word.
struct Option {
    std::string key;
    std::string value;
    Position position;
};

/// One line of configuration: `NAME word … key=value …`.
struct Directive {
    std::string name;
    Position position;
    std::vector<Word> words;
    std::vector<Option> options;

    /// The option `key`, or nullptr. The pointer lives as long as the directive.
    [[nodiscard]] const Option* option(std::string_view key) const;

    /// Whether `flag` stands, unquoted, among the words from the index `from` on.
    [[nodiscard]] bool has_flag(std::string_view flag, std::size_t from = 1) const;
};

/// Collects every error of a run, each as `file:line:column: message`. After `capacity` errors the rest is
/// only counted, so that a binary file taken for a configuration does not fill the memory.
class Errors {
  public:
    explicit Errors(std::size_t capacity) : capacity_(capacity) {}

    void add(const Position& position, std::string_view message);

    /// An error about a whole file, as "file:1:1: message".
    void add(const std::string& file, std::string_view message);

    [[nodiscard]] bool empty() const { return list_.empty(); }

    /// Whether further errors are only counted, so that costly advice on them is wasted.
    [[nodiscard]] bool full() const { return list_.size() >= capacity_; }

    /// The errors so far; where some were only counted, a last line says how many.
    [[nodiscard]] std::vector<std::string> take();

  private:
    std::size_t capacity_;
    std::size_t dropped_ = 0;
    std::vector<std::string> list_;
};

/// How the parser reaches files; tests give it a map in memory instead.
class FileSource {
  public:
    FileSource() = default;
    FileSource(const FileSource&) = delete;
    FileSource& operator=(const FileSource&) = delete;
    virtual ~FileSource() = default;

    /// The whole file, at most `limit` bytes; larger is a Permanent error.
    [[nodiscard]] virtual Result<std::string> read(const std::string& path, std::size_t limit) = 0;

    /// The names (without the folder) of what stands in a folder, in any order.
    [[nodiscard]] virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;
};

/// The files of the disk.
class DiskFiles : public FileSource {
  public:
    [[nodiscard]] Result<std::string> read(const std::string& path, std::size_t limit) override;
    [[nodiscard]] Result<std::vector<std::string>> list(const std::string& directory) override;
};

/// What bounds the reading of a configuration.
struct ParseLimits {
    std::size_t include_depth = 0;  ///< files open inside each other, the first included
    std::size_t total_size = 0;     ///< bytes of all files together
    std::size_t files = 0;          ///< files read, counted each time
};

/// A file of keys, and the line `include FILE as [KIND] CLASS` that names it (key_files.h).
struct KeyFile {
    Directive include;
    std::vector<Word> keys;
};

/// What a file and all it includes say.
struct ParsedFiles {
    std::vector<Directive> directives;  ///< in reading order; `include` lines are replaced by their files
    std::vector<KeyFile> key_files;     ///< of `include FILE as …` lines
    std::vector<std::string> files;     ///< every file read or tried, and every folder listed, in that order
};

/// Parses one text, without following `include` (it comes back as a directive like any other). Errors go to
/// `errors`; lines without error are returned all the same. The grammar:
///   * a line is a name and its words, separated by blanks; empty lines are skipped;
///   * a word that begins with `#` begins a comment, to the end of the line;
///   * a `\` as the last character of a line continues it on the next, and separates words;
///   * a word in `"…"` keeps blanks and `#`; in it `\"` and `\\` stand for `"` and `\`; it ends on its line;
///   * an unquoted word `key=value`, where key is made of a-z, 0-9 and _, is an option; `key="…"` too;
///   * everything else, also `->` and `\name`, is a plain word.
[[nodiscard]] std::vector<Directive> parse_text(std::string_view text,
                                                const std::shared_ptr<const std::string>& file,
                                                Errors& errors);

/// Parses `path` and everything it includes: `include FILE`, relative to the including file, and
/// `include DIR/*.SUFFIX`, in the byte order of the names (names with a leading dot are left out). Loops, too
/// deep nesting and too much text are errors at the `include` that would go too far. The FILE of `include
/// FILE as …` has one word a line and is no configuration of its own.
[[nodiscard]] ParsedFiles parse_files(const std::string& path, FileSource& source, const ParseLimits& limits,
                                      Errors& errors);

/// `path` itself when absolute, else `path` below `directory`; in both cases without `.`, `..` and `//`.
[[nodiscard]] std::string resolve_path(std::string_view directory, std::string_view path);

/// The candidate that takes the fewest edits to become `word`, if that is few enough to be a slip of the
/// hand (a third of the word, at least one); else empty. The view points into `candidates`.
[[nodiscard]] std::string_view nearest(std::string_view word,
                                       const std::vector<std::string_view>& candidates);

}  // namespace postrider::config
