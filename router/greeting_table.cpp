#include "router/greeting_table.h"

#include <algorithm>
#include <utility>

#include "libcommon/mail/ascii.h"

namespace postrider::router {

namespace {

/// No domain is longer (RFC 1035, 2.3.4), so no more of the end of a greeting is looked up. Without a bound a
/// client could make many long keys with a greeting of many dots.
constexpr std::size_t kLongestDomain = 255;

bool is_glob(std::string_view pattern) {
    return pattern.find_first_of("*?[\\") != std::string_view::npos;
}

bool is_name_suffix(std::string_view pattern) {
    return pattern.starts_with("*.") && !is_glob(pattern.substr(2));
}

}  // namespace

Result<const PolicyRule*> GreetingTable::add(std::string_view pattern, PolicyRule rule) {
    Result<Glob> glob = Glob::parse(pattern);
    if (!glob) return failure(std::move(glob).error());
    Entry entry{std::move(*glob), pattern.starts_with("\\["), std::move(rule)};
    const auto [place, added] = by_pattern_.try_emplace(mail::to_lower(pattern), std::move(entry));
    if (!added) return &place->second.rule;
    if (is_name_suffix(pattern)) {
        has_suffixes_ = true;
    } else if (is_glob(pattern)) {
        // The map keeps its values where they are, so they can be pointed at.
        const Entry* added_entry = &place->second;
        const auto behind = [](const Entry* one, const Entry* other) {
            if (one->glob.literals() != other->glob.literals())
                return one->glob.literals() > other->glob.literals();
            return one->rule.verb > other->rule.verb;
        };
        with_wildcard_.insert(
            std::upper_bound(with_wildcard_.begin(), with_wildcard_.end(), added_entry, behind), added_entry);
    }
    return nullptr;
}

/// The pattern without wildcard, or the longest one of the form `*.domain`.
const GreetingTable::Entry* GreetingTable::find_plain(const std::string& greeting) const {
    const auto exact = by_pattern_.find(greeting);
    if (exact != by_pattern_.end() && exact->second.glob.is_literal()) return &exact->second;
    if (!has_suffixes_) return nullptr;
    std::string key;
    const std::size_t first = greeting.size() - std::min(greeting.size(), kLongestDomain);
    for (std::size_t dot = greeting.find('.', first); dot != std::string::npos;
         dot = greeting.find('.', dot + 1)) {
        key.assign(1, '*');
        key.append(greeting, dot);
        const auto found = by_pattern_.find(key);
        if (found != by_pattern_.end() && is_name_suffix(key)) return &found->second;
    }
    return nullptr;
}

const PolicyRule* GreetingTable::find(std::string_view greeting) const {
    if (greeting.empty() || by_pattern_.empty()) return nullptr;
    const std::string name = mail::to_lower(greeting);
    const bool literal = name.front() == '[';
    const Entry* best = literal ? nullptr : find_plain(name);
    if (best != nullptr && best->glob.is_literal()) return &best->rule;
    for (const Entry* entry : with_wildcard_) {
        if (best != nullptr && entry->glob.literals() < best->glob.literals()) break;
        if (entry->for_literals != literal || !entry->glob.matches(name)) continue;
        const bool stricter = best != nullptr && entry->glob.literals() == best->glob.literals() &&
                              entry->rule.verb <= best->rule.verb;
        if (!stricter) best = entry;
        break;
    }
    return best == nullptr ? nullptr : &best->rule;
}

}  // namespace postrider::router
