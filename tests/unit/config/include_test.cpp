#include <catch2/catch.hpp>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "libcommon/config/language.h"
#include "tests/unit/config/memory_files.h"

namespace postrider::config {

namespace {

using Texts = std::map<std::string, std::string>;
using Strings = std::vector<std::string>;

struct Outcome {
    Strings lines;
    Strings files;
    Strings errors;
};

constexpr ParseLimits kLimits{.include_depth = 4, .total_size = 1000, .files = 20};

Outcome read(const Texts& texts, const ParseLimits& limits = kLimits, const std::string& path = "/c/main") {
    MemoryFiles source(texts);
    Errors errors(100);
    auto parsed = parse_files(path, source, limits, errors);
    Outcome outcome;
    outcome.files = parsed.files;
    outcome.errors = errors.take();
    for (const auto& directive : parsed.directives) {
        outcome.lines.push_back(directive.position.line_text() + " " + directive.name);
    }
    return outcome;
}

}  // namespace

TEST_CASE("include puts files in its place", "[include]") {
    auto outcome = read({{"/c/main", "a\ninclude sub/x\nb\n"},
                         {"/c/sub/x", "c\ninclude y\ninclude ../z\ninclude /abs\n"},
                         {"/c/sub/y", "d\n"},
                         {"/c/z", "e\n"},
                         {"/abs", "f\n"}});
    CHECK(outcome.errors == Strings{});
    CHECK(outcome.lines ==
          Strings{"/c/main:1 a", "/c/sub/x:1 c", "/c/sub/y:1 d", "/c/z:1 e", "/abs:1 f", "/c/main:3 b"});
    CHECK(outcome.files == Strings{"/c/main", "/c/sub/x", "/c/sub/y", "/c/z", "/abs"});
}

TEST_CASE("include DIR/*.conf reads in the order of names", "[include]") {
    auto outcome = read({{"/c/main", "include d/*.conf\n"},
                         {"/c/d/b.conf", "b\n"},
                         {"/c/d/a.conf", "a\n"},
                         {"/c/d/.hidden.conf", "h\n"},
                         {"/c/d/a.conf~", "old\n"},
                         {"/c/d/note", "n\n"}});
    CHECK(outcome.errors == Strings{});
    CHECK(outcome.lines == Strings{"/c/d/a.conf:1 a", "/c/d/b.conf:1 b"});
    CHECK(outcome.files == Strings{"/c/main", "/c/d", "/c/d/a.conf", "/c/d/b.conf"});
    CHECK(read({{"/c/main", "include d/*.conf\n"}, {"/c/d/note", "n\n"}}).errors == Strings{});
}

TEST_CASE("errors of include", "[include]") {
    struct Case {
        Texts texts;
        Strings errors;
    };
    const std::string usage = "include takes one word, FILE or DIR/*.SUFFIX, or FILE as [KIND] CLASS";
    const std::string of_keys = "include takes FILE as [KIND] CLASS";
    const Case cases[] = {
        {{}, {"/c/main:1:1: cannot be opened: No such file or directory"}},
        {{{"/c/main", "a\n include  x\n"}},
         {"/c/main:2:11: /c/x cannot be opened: No such file or directory"}},
        {{{"/c/main", "include d/*.conf\n"}},
         {"/c/main:1:9: /c/d cannot be listed: No such file or directory"}},
        {{{"/c/main", "include d/*.c*\n"}}, {"/c/main:1:9: of patterns only DIR/*.SUFFIX is known"}},
        {{{"/c/main", "include\n"}}, {"/c/main:1:1: " + usage}},
        {{{"/c/main", "include a b\n"}}, {"/c/main:1:1: " + usage}},
        {{{"/c/main", "include a k=v\n"}}, {"/c/main:1:1: " + usage}},
        {{{"/c/main", "include \"\"\n"}}, {"/c/main:1:1: " + usage}},
        {{{"/c/main", "include k as\n"}}, {"/c/main:1:1: " + of_keys}},
        {{{"/c/main", "include k as a b c\n"}}, {"/c/main:1:1: " + of_keys}},
        {{{"/c/main", "include k as a k=v\n"}}, {"/c/main:1:1: " + of_keys}},
        {{{"/c/main", "include k \"as\" a\n"}}, {"/c/main:1:1: " + usage}},
        {{{"/c/main", "include k as a\n"}},
         {"/c/main:1:9: /c/k cannot be opened: No such file or directory"}},
        {{{"/c/main", "include main as a\n"}}, {"/c/main:1:9: /c/main includes itself"}},
        {{{"/c/main", "include k as a\n"}, {"/c/k", "a.test reject\nb.test x=y\n\"c\"\n"}},
         {"/c/k:3:1: a line begins with the plain name of a directive",
          "/c/k:1:1: nothing may stand behind a.test: there is one key a line",
          "/c/k:2:1: nothing may stand behind b.test: there is one key a line"}},
        {{{"/c/main", "include ./main\n"}}, {"/c/main:1:9: /c/main includes itself"}},
        {{{"/c/main", "include x\n"}, {"/c/x", "a\ninclude main\n"}}, {"/c/x:2:9: /c/main includes itself"}},
        {{{"/c/main", "include 1\n"},
          {"/c/1", "include 2\n"},
          {"/c/2", "include 3\n"},
          {"/c/3", "include 4\n"},
          {"/c/4", "a\n"}},
         {"/c/3:1:9: /c/4 is more than 4 files deep"}},
        {{{"/c/main", "include x\ninclude x\n"}, {"/c/x", "#" + std::string(600, 'x')}},
         {"/c/main:2:9: /c/x makes the configuration larger than 1000 bytes"}},
        {{{"/c/main", "include x\ninclude y\n"}, {"/c/x", "\"a\"\n"}, {"/c/y", "b \"\n"}},
         {"/c/x:1:1: a line begins with the plain name of a directive",
          "/c/y:1:3: a quote that is not closed on its line"}},
    };
    for (const auto& c : cases) {
        INFO(c.errors.front());
        CHECK(read(c.texts).errors == c.errors);
    }
}

TEST_CASE("a file of keys is kept apart from the lines", "[include]") {
    MemoryFiles source({{"/c/main", "a\ninclude sub/k as net good\nb\n"},
                        {"/c/sub/k", "# keys\n10.0.0.0/8\n\n  *.x.test # one\n<>\nuser@\n\\[192.*\n"}});
    Errors errors(100);
    const ParsedFiles parsed = parse_files("/c/main", source, kLimits, errors);
    CHECK(errors.empty());
    CHECK(parsed.directives.size() == 2);
    REQUIRE(parsed.key_files.size() == 1);
    CHECK(parsed.key_files[0].include.words.size() == 4);
    Strings keys;
    for (const Word& key : parsed.key_files[0].keys)
        keys.push_back(key.position.text() + " " + key.text);
    CHECK(keys == Strings{"/c/sub/k:2:1 10.0.0.0/8", "/c/sub/k:4:3 *.x.test", "/c/sub/k:5:1 <>",
                          "/c/sub/k:6:1 user@", "/c/sub/k:7:1 \\[192.*"});
    CHECK(parsed.files == Strings{"/c/main", "/c/sub/k"});
}

TEST_CASE("the number of files is bounded", "[include]") {
    ParseLimits limits = kLimits;
    limits.files = 3;
    auto outcome = read({{"/c/main", "include x\ninclude x\ninclude x\n"}, {"/c/x", "a\n"}}, limits);
    CHECK(outcome.errors == Strings{"/c/main:3:9: /c/x is one file too many (at most 3)"});
    CHECK(outcome.lines.size() == 2);
}

TEST_CASE("paths", "[include]") {
    CHECK(resolve_path("/c", "x") == "/c/x");
    CHECK(resolve_path("/c/d", "../x") == "/c/x");
    CHECK(resolve_path("/c", "/x//y/./z") == "/x/y/z");
    CHECK(resolve_path(".", "x") == "x");
}

TEST_CASE("files of the disk", "[include]") {
    auto folder =
        std::filesystem::temp_directory_path() / ("postrider-include-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "a.conf") << "a\n";
    DiskFiles files;
    CHECK(files.read((folder / "a.conf").string(), 2).value() == "a\n");
    auto larger = files.read((folder / "a.conf").string(), 1);
    REQUIRE_FALSE(larger);
    CHECK_FALSE(larger.error().temporary());
    CHECK(files.read((folder / "b.conf").string(), 10).error().text ==
          "cannot be opened: No such file or directory");
    CHECK(files.read(folder.string(), 10).error().text == "is not a regular file");
    auto names = files.list(folder.string());
    REQUIRE(names);
    CHECK(std::find(names->begin(), names->end(), "a.conf") != names->end());
    CHECK_FALSE(files.list((folder / "none").string()));
    std::filesystem::remove_all(folder);
}

}  // namespace postrider::config
