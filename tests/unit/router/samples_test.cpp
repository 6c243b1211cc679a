// The samples in etc/: they are a configuration, each of their examples can be put in force, and whatever can
// be written has an example.

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "libcommon/config/directives.h"
#include "router/policy_item.h"
#include "tests/unit/router/table_fixture.h"

namespace postrider::router {

namespace {

using Files = std::map<std::string, std::string>;

/// The samples by their names, and the files that they speak of.
Files samples() {
    Files files = {{"aliases.everywhere", "webmaster: fred@example.org\n"},
                   {"shop.users", "bob\n"},
                   {"customers.txt", "192.0.2.0/24\n"}};
    for (const auto& entry : std::filesystem::recursive_directory_iterator(SAMPLES)) {
        if (!entry.is_regular_file()) continue;
        std::ifstream file(entry.path());
        const std::string name = std::filesystem::relative(entry.path(), SAMPLES);
        files[name] = {std::istreambuf_iterator<char>(file), {}};
    }
    return files;
}

const std::vector<std::string> kTables = {"postrider.conf", "domains", "routes", "redirects", "policy"};

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);)
        lines.push_back(line);
    return lines;
}

/// An example is a line of a table with a `#` right in front of it.
bool is_example(const std::string& line) {
    return line.size() > 1 && line[0] == '#' && line[1] >= 'a' && line[1] <= 'z';
}

constexpr const char* kNoError = "no error";

/// The first error.
std::string error_in(Files files) {
    try {
        const std::string configuration = files.at("postrider.conf");
        files.erase("postrider.conf");
        const BuildResult built = test::build(configuration, files);
        return built.errors.empty() ? kNoError : built.errors.front();
    } catch (const std::runtime_error& error) {
        return error.what();
    }
}

/// `text` with one example in force, and with all classes and certificates, which others need.
std::string with_example(const std::string& text, std::size_t number) {
    std::string changed;
    std::size_t at = 0;
    for (const std::string& line : lines_of(text)) {
        const bool needed = line.starts_with("#class") || line.starts_with("#tls_certificate") ||
                            line.starts_with("#tls_client_ca");
        const bool wanted = at++ == number || needed;
        changed += (wanted ? line.substr(1) : line) + '\n';
    }
    return changed;
}

/// The words of all examples and lines, of an option its name.
std::set<std::string> words_of(const std::string& text) {
    std::set<std::string> words;
    for (const std::string& line : lines_of(text)) {
        if (line.starts_with('#') && !is_example(line)) continue;
        std::istringstream stream(is_example(line) ? line.substr(1) : line);
        for (std::string word; stream >> word;)
            words.insert(word.substr(0, word.find('=')));
    }
    return words;
}

}  // namespace

TEST_CASE("the samples are a configuration without error", "[samples]") {
    CHECK(error_in(samples()) == kNoError);
}

TEST_CASE("every example of the samples can be put in force", "[samples]") {
    const Files files = samples();
    std::size_t examples = 0;
    for (const std::string& table : kTables) {
        const std::vector<std::string> lines = lines_of(files.at(table));
        for (std::size_t i = 0; i < lines.size(); ++i) {
            if (!is_example(lines[i])) continue;
            ++examples;
            Files changed = files;
            changed[table] = with_example(files.at(table), i);
            INFO(table << ": " << lines[i]);
            CHECK(error_in(changed) == kNoError);
        }
    }
    CHECK(examples > 50);
    // The aliases are all put in force together, since some of them have several lines.
    Files changed = files;
    std::string aliases;
    for (const std::string& line : lines_of(files.at("aliases"))) {
        const bool example = is_example(line) || line.starts_with("#    ");
        aliases += (example ? line.substr(1) : line) + '\n';
    }
    changed["aliases"] = aliases;
    CHECK(error_in(changed) == kNoError);
}

TEST_CASE("every directive and every item of the policy has its example", "[samples]") {
    const Files files = samples();
    std::string text;
    for (const std::string& table : kTables)
        text += files.at(table);
    const std::set<std::string> words = words_of(text);
    for (const config::DirectiveRow& row : config::directive_table()) {
        // Limits are too many; the sample says how to list them.
        if (row.status == config::Status::Planned || row.limit) continue;
        INFO(row.name);
        CHECK(words.contains(std::string(row.name)));
        for (const auto& keywords : {row.options, row.flags}) {
            for (const config::Keyword& keyword : keywords) {
                INFO(keyword.name);
                if (keyword.status == config::Status::Implemented)
                    CHECK(words.contains(std::string(keyword.name)));
            }
        }
    }
    const std::set<std::string> policy = words_of(files.at("policy"));
    for (std::size_t i = 0; i < kPolicyItems; ++i) {
        const std::string name(policy_item_row(static_cast<PolicyItem>(i)).name);
        INFO(name);
        CHECK(policy.contains(name));
    }
}

}  // namespace postrider::router
