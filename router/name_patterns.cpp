#include "router/name_patterns.h"

#include <algorithm>
#include <utility>

namespace postrider::router {

namespace {

constexpr std::string_view kWildcards = "*?";

}  // namespace

bool has_wildcard(std::string_view name) {
    return name.find_first_of(kWildcards) != std::string_view::npos;
}

Result<NamePattern> NamePattern::parse(std::string_view name) {
    std::string text;
    for (const char octet : name) {
        // What else is special in a shell pattern is an ordinary character of a local part.
        if (octet == '[' || octet == '\\') text.push_back('\\');
        text.push_back(octet);
    }
    Result<Glob> glob = Glob::parse(text);
    if (!glob) return failure(std::move(glob).error());
    NamePattern pattern(std::move(*glob));
    const std::size_t first = std::min(name.find_first_of(kWildcards), name.size());
    pattern.prefix_ = name.substr(0, first);
    if (first < name.size()) pattern.suffix_ = name.substr(name.find_last_of(kWildcards) + 1);
    return pattern;
}

void NamePatterns::Index::add(const std::string& text, std::uint32_t place) {
    by_text[text].push_back(place);
    if (std::find(lengths.begin(), lengths.end(), text.size()) == lengths.end())
        lengths.push_back(text.size());
}

void NamePatterns::add(NamePattern pattern, std::uint32_t number) {
    const auto place = static_cast<std::uint32_t>(patterns_.size());
    if (!pattern.prefix().empty()) {
        by_prefix_.add(pattern.prefix(), place);
    } else if (!pattern.suffix().empty()) {
        by_suffix_.add(pattern.suffix(), place);
    } else {
        anywhere_.push_back(place);
    }
    patterns_.push_back(Numbered{std::move(pattern), number});
}

template <typename Visit>
void NamePatterns::each_match(std::string_view local, Visit visit) const {
    const auto try_all = [&](const std::vector<std::uint32_t>& places) {
        for (const std::uint32_t place : places) {
            if (patterns_[place].pattern.matches(local)) visit(patterns_[place].number);
        }
    };
    const auto try_fitting = [&](const Index& index, auto part_of) {
        for (const std::size_t length : index.lengths) {
            if (length > local.size()) continue;
            const auto found = index.by_text.find(part_of(length));
            if (found != index.by_text.end()) try_all(found->second);
        }
    };
    try_fitting(by_prefix_, [&](std::size_t length) { return local.substr(0, length); });
    try_fitting(by_suffix_, [&](std::size_t length) { return local.substr(local.size() - length); });
    try_all(anywhere_);
}

void NamePatterns::find_all(std::string_view local, std::vector<std::uint32_t>& numbers) const {
    each_match(local, [&](std::uint32_t number) { numbers.push_back(number); });
}

std::optional<std::uint32_t> NamePatterns::find_first(std::string_view local) const {
    std::optional<std::uint32_t> first;
    each_match(local, [&](std::uint32_t number) {
        if (!first || number < *first) first = number;
    });
    return first;
}

}  // namespace postrider::router
