#include "libcommon/config/directives.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace postrider::config {

namespace {

/// Words quoted in messages are cut to this length, so that a message stays a line.
constexpr std::size_t kLongestShown = 60;

std::string shown(std::string_view word) {
    if (word.size() <= kLongestShown) return fmt::format("\"{}\"", word);
    return fmt::format("\"{}…\"", word.substr(0, kLongestShown));
}

std::string suggestion(std::string_view word, const std::vector<std::string_view>& candidates) {
    std::string_view best = nearest(word, candidates);
    return best.empty() ? std::string() : fmt::format("; did you mean \"{}\"?", best);
}

DirectiveRow limit_directive(const LimitRow& limit) {
    DirectiveRow row;
    row.name = limit.name;
    if (limit.overload) row.options.push_back({"overload"});
    row.arguments = limit.overload ? "VALUE [overload=VALUE]" : "VALUE";
    row.doc = limit.doc;
    row.limit = limit.limit;
    return row;
}

std::vector<DirectiveRow> build_table() {
    std::vector<DirectiveRow> rows = general_rows();
    for (const auto& limit : limit_table()) {
        if (limit.settable) rows.push_back(limit_directive(limit));
    }
    return rows;
}

std::vector<std::string_view> names_of(const std::vector<Keyword>& keywords) {
    std::vector<std::string_view> names;
    for (const auto& keyword : keywords)
        names.push_back(keyword.name);
    return names;
}

const Keyword* find_keyword(const std::vector<Keyword>& keywords, std::string_view name) {
    auto found =
        std::find_if(keywords.begin(), keywords.end(), [&](const Keyword& k) { return k.name == name; });
    return found == keywords.end() ? nullptr : &*found;
}

/// `auth METHOD …` says how clients log in. An `auth` line with an item of the policy table is about a login,
/// and is the same as `login LOGIN ITEM …`; a login that is called like a method stands in quotes then.
void tell_auth_lines_apart(Directive& directive) {
    if (directive.name != "auth" || directive.words.empty()) return;
    const Word& first = directive.words.front();
    const bool method = first.text == "pam" || first.text == "passwd_file" || first.text == "dovecot";
    if (method && !first.quoted) return;
    const DirectiveRow& row = *find_directive("login");
    const bool has_item =
        std::any_of(directive.words.begin() + 1, directive.words.end(), [&](const Word& word) {
            return !word.quoted && (word.text == "use" || find_keyword(row.flags, word.text) != nullptr);
        });
    const bool has_option =
        std::any_of(directive.options.begin(), directive.options.end(),
                    [&](const Option& option) { return find_keyword(row.options, option.key) != nullptr; });
    if (has_item || has_option) directive.name = "login";
}

/// Checks directives one after the other; remembers where the Once directives were.
class Checker {
  public:
    explicit Checker(Errors& errors) : errors_(errors) {}

    /// Whether the directive can stay, perhaps without some of its options.
    bool check(Directive& directive) {
        const DirectiveRow* row = find_directive(directive.name);
        if (row == nullptr) {
            errors_.add(directive.position, unknown_directive(directive.name));
            return false;
        }
        if (row->status == Status::Planned) {
            errors_.add(directive.position, fmt::format("{} is not implemented yet", directive.name));
            return false;
        }
        // Not short-circuited: every error of the line is reported.
        bool words = check_words(directive, *row);
        const std::size_t options = directive.options.size();
        check_options(directive, *row);
        const bool says_nothing = directive.options.size() < options && directive.options.empty() &&
                                  directive.words.size() <= row->least_words;
        bool once = row->occurs == Occurs::Repeatedly || check_once(directive);
        return words && once && !says_nothing;
    }

  private:
    [[nodiscard]] std::string unknown_directive(const std::string& name) const {
        // A large file of something else entirely must not cost a comparison with every name for every line.
        if (errors_.full()) return {};
        std::vector<std::string_view> names;
        for (const auto& row : directive_table())
            names.push_back(row.name);
        return fmt::format("unknown directive {}{}", shown(name), suggestion(name, names));
    }

    bool check_words(const Directive& directive, const DirectiveRow& row) {
        std::size_t plain = 0;
        for (std::size_t i = 0; i < directive.words.size(); ++i) {
            const Word& word = directive.words[i];
            const Keyword* flag = nullptr;
            if (i >= row.least_words && !word.quoted) flag = find_keyword(row.flags, word.text);
            if (flag != nullptr && flag->status == Status::Planned) {
                errors_.add(word.position, fmt::format("{} {} is not implemented yet", row.name, flag->name));
                return false;
            }
            if (flag == nullptr && ++plain > row.most_words) {
                errors_.add(word.position, fmt::format("unexpected word {}{}", shown(word.text),
                                                       suggestion(word.text, names_of(row.flags))));
                return false;
            }
        }
        if (plain >= row.least_words) return true;
        errors_.add(directive.position, fmt::format("incomplete: {} {}", row.name, row.arguments));
        return false;
    }

    void check_options(Directive& directive, const DirectiveRow& row) {
        std::vector<Option> valid;
        for (std::size_t i = 0; i < directive.options.size(); ++i) {
            std::string problem = option_problem(directive, row, i);
            if (problem.empty()) {
                valid.push_back(directive.options[i]);
            } else {
                errors_.add(directive.options[i].position, problem);
            }
        }
        directive.options = std::move(valid);
    }

    /// What is wrong with an option; empty when nothing is.
    static std::string option_problem(const Directive& directive, const DirectiveRow& row,
                                      std::size_t index) {
        const Option& option = directive.options[index];
        const Keyword* keyword = find_keyword(row.options, option.key);
        if (keyword == nullptr) {
            if (row.options.empty()) {
                return fmt::format("{} takes no option {} (quote the word if it is none)", row.name,
                                   shown(option.key));
            }
            return fmt::format("{} has no option {}{}", row.name, shown(option.key),
                               suggestion(option.key, names_of(row.options)));
        }
        if (keyword->status == Status::Planned) {
            return fmt::format("{} {}= is not implemented yet", row.name, option.key);
        }
        const Option* first = directive.option(option.key);
        if (first != &option) {
            return fmt::format("{}= was already given at {}", option.key, first->position.text());
        }
        if (option.value.empty()) return fmt::format("{}= has no value", option.key);
        return {};
    }

    bool check_once(const Directive& directive) {
        auto [first, inserted] = given_.try_emplace(directive.name, directive.position);
        if (inserted) return true;
        errors_.add(directive.position,
                    fmt::format("{} was already given at {}", directive.name, first->second.text()));
        return false;
    }

    Errors& errors_;
    std::map<std::string, Position, std::less<>> given_;
};

}  // namespace

const std::vector<DirectiveRow>& directive_table() {
    static const std::vector<DirectiveRow> table = build_table();
    return table;
}

const DirectiveRow* find_directive(std::string_view name) {
    static const std::map<std::string_view, const DirectiveRow*> index = [] {
        std::map<std::string_view, const DirectiveRow*> map;
        for (const auto& row : directive_table())
            map.emplace(row.name, &row);
        return map;
    }();
    auto found = index.find(name);
    return found == index.end() ? nullptr : found->second;
}

std::string_view reader_name(Reader reader) {
    switch (reader) {
        case Reader::Everyone:
            return "all";
        case Reader::Smtpd:
            return "smtpd";
        case Reader::QueueManager:
            return "queue-manager";
        case Reader::Router:
            return "router";
        case Reader::LocalDelivery:
            return "local-delivery";
        case Reader::RemoteDelivery:
            return "remote-delivery";
        case Reader::Authd:
            return "authd";
    }
    return {};
}

std::vector<Directive> check_directives(std::vector<Directive> directives, Errors& errors) {
    Checker checker(errors);
    std::vector<Directive> valid;
    for (auto& directive : directives) {
        tell_auth_lines_apart(directive);
        if (checker.check(directive)) valid.push_back(std::move(directive));
    }
    return valid;
}

}  // namespace postrider::config
