#include "libcommon/config/key_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "libcommon/config/directives.h"

namespace postrider::config {

namespace {

/// The kinds of lines of the policy table (router/policy_item.h).
constexpr std::array<std::string_view, 7> kKinds{"net", "rdns", "helo", "login", "port", "sender", "rcpt"};
using Kinds = std::vector<std::string_view>;

/// A line about a login may begin with either word.
std::string_view kind_of(std::string_view word) {
    return word == "auth" ? "login" : word;
}

bool is_among(const std::vector<Keyword>& keywords, std::string_view name) {
    return std::any_of(keywords.begin(), keywords.end(),
                       [&](const Keyword& keyword) { return keyword.name == name; });
}

/// Leaves the kinds whose lines can have the item. What no line can have is an error of the class itself,
/// and reported there.
void narrow(Kinds& kinds, const std::function<bool(const DirectiveRow&, std::string_view kind)>& allows) {
    const auto allowed = [&](std::string_view kind) { return allows(*find_directive(kind), kind); };
    if (std::none_of(kKinds.begin(), kKinds.end(), allowed)) return;
    kinds.erase(
        std::remove_if(kinds.begin(), kinds.end(), [&](std::string_view kind) { return !allowed(kind); }),
        kinds.end());
}

/// `dnsbl=` has two meanings: lists in lines about clients, and whether they count in those about recipients.
bool has_option(const DirectiveRow& row, std::string_view kind, const Option& option) {
    if (!is_among(row.options, option.key)) return false;
    if (option.key != "dnsbl") return true;
    const bool of_recipient = option.value == "use" || option.value == "ignore";
    return of_recipient == (kind == "rcpt");
}

class Classes {
  public:
    explicit Classes(const std::vector<Directive>& directives) {
        for (const Directive& line : directives) {
            if (line.name == "class" && !line.words.empty()) lines_.emplace(line.words.front().text, &line);
        }
    }

    /// The kinds of lines that all items of a class are for; nothing if there is no such class.
    [[nodiscard]] std::optional<Kinds> kinds_of(const std::string& name) const {
        if (!lines_.contains(name)) return std::nullopt;
        Kinds kinds(kKinds.begin(), kKinds.end());
        std::set<std::string_view> seen;
        narrow_by_class(name, kinds, seen);
        return kinds;
    }

    [[nodiscard]] std::vector<std::string_view> names() const {
        std::vector<std::string_view> names;
        for (const auto& [name, line] : lines_)
            names.push_back(name);
        return names;
    }

  private:
    void narrow_by_class(std::string_view name, Kinds& kinds, std::set<std::string_view>& seen) const {
        const auto found = lines_.find(name);
        if (found == lines_.end() || !seen.insert(found->first).second) return;
        const Directive& line = *found->second;
        for (std::size_t i = 1; i < line.words.size(); ++i) {
            const Word& word = line.words[i];
            if (word.quoted) continue;  // the text of a reply
            if (word.text == "use" && i + 1 < line.words.size()) {
                narrow_by_class(line.words[++i].text, kinds, seen);
                continue;
            }
            narrow(kinds,
                   [&](const DirectiveRow& row, std::string_view) { return is_among(row.flags, word.text); });
        }
        for (const Option& option : line.options) {
            narrow(kinds, [&](const DirectiveRow& row, std::string_view kind) {
                return has_option(row, kind, option);
            });
        }
    }

    std::map<std::string_view, const Directive*> lines_;
};

/// The kind of the lines that an `include FILE as [KIND] CLASS` makes; nothing after an error.
std::optional<std::string_view> kind_of_lines(const Directive& include, const Classes& classes,
                                              Errors& errors) {
    const Word& name = include.words.back();
    const std::optional<Kinds> kinds = classes.kinds_of(name.text);
    if (!kinds) {
        const std::string_view best = nearest(name.text, classes.names());
        errors.add(name.position,
                   fmt::format("there is no class {}{}", name.text,
                               best.empty() ? "" : fmt::format("; did you mean \"{}\"?", best)));
        return std::nullopt;
    }
    constexpr std::size_t kWordsWithKind = 4;  // FILE as KIND CLASS
    if (include.words.size() == kWordsWithKind) {
        const Word& word = include.words[2];
        const std::string_view kind = kind_of(word.text);
        const auto known = std::find(kKinds.begin(), kKinds.end(), kind);
        if (known == kKinds.end()) {
            errors.add(word.position, fmt::format("expected one of {}", fmt::join(kKinds, ", ")));
            return std::nullopt;
        }
        if (std::find(kinds->begin(), kinds->end(), kind) != kinds->end()) return *known;
        errors.add(name.position,
                   fmt::format("some items of class {} are not for {} lines", name.text, kind));
        return std::nullopt;
    }
    if (kinds->size() == 1) return kinds->front();
    errors.add(name.position,
               kinds->empty() ? fmt::format("no kind of line can have all items of class {}", name.text)
                              : fmt::format("the keys may be those of {} lines: write include FILE as {} {}",
                                            fmt::join(*kinds, " or "), kinds->front(), name.text));
    return std::nullopt;
}

}  // namespace

std::vector<Directive> lines_of_keys(const std::vector<KeyFile>& files,
                                     const std::vector<Directive>& directives, Errors& errors) {
    const Classes classes(directives);
    std::vector<Directive> lines;
    for (const KeyFile& file : files) {
        const std::optional<std::string_view> kind = kind_of_lines(file.include, classes, errors);
        if (!kind) continue;
        const Word& class_name = file.include.words.back();
        const Word use{"use", class_name.position};
        for (const Word& key : file.keys) {
            Directive line;
            line.name = *kind;
            line.position = key.position;
            line.words = {key, use, class_name};
            lines.push_back(std::move(line));
        }
    }
    return lines;
}

}  // namespace postrider::config
