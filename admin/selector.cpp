#include "admin/selector.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "libcommon/config/values.h"
#include "libcommon/queue_file/queue_id.h"

namespace postrider::admin {

namespace {

constexpr std::array<std::string_view, 8> kStates = {"new",       "active",      "waiting", "held",
                                                     "suspended", "quarantined", "failed",  "corrupt"};
constexpr std::size_t kMaxText = 1000;

std::string lower_case(std::string_view text) {
    std::string lower(text);
    for (char& c : lower) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return lower;
}

bool is_plain(std::string_view text) {
    return text.size() <= kMaxText && std::all_of(text.begin(), text.end(), [](char c) {
               return static_cast<unsigned char>(c) > ' ' && c != '\x7f';
           });
}

Result<std::string> parse_address(const char* option, std::string_view word) {
    // People write <a@b.test> as often as a@b.test.
    if (word.size() > 2 && word.front() == '<' && word.back() == '>') word = word.substr(1, word.size() - 2);
    const bool has_domain = word.find('@') != std::string_view::npos && word.back() != '@';
    if (!is_plain(word) || !has_domain)
        return permanent(fmt::format("{} \"{}\": an address or @DOMAIN is expected", option, word));
    return std::string(word);
}

Result<void> parse_age(std::string_view word, wire::Selector& selector) {
    const bool younger = word.starts_with('<');
    if (younger || word.starts_with('>')) word.remove_prefix(1);
    auto age = config::parse_duration(word);
    if (!age || age->count() == 0)
        return permanent(fmt::format("--age \"{}\": such as \">2h\" or \"<10m\" is expected", word));
    const auto milliseconds = static_cast<std::uint64_t>(age->count());
    if (younger) {
        const std::uint64_t before = selector.younger_ms();
        selector.set_younger_ms(before == 0 ? milliseconds : std::min(before, milliseconds));
    } else {
        selector.set_older_ms(std::max<std::uint64_t>(selector.older_ms(), milliseconds));
    }
    return {};
}

Result<void> parse_states(std::string_view word, wire::Selector& selector) {
    while (true) {
        const std::size_t comma = std::min(word.find(','), word.size());
        const std::string_view state = word.substr(0, comma);
        if (std::find(kStates.begin(), kStates.end(), state) == kStates.end())
            return permanent(fmt::format("--state \"{}\": one of {} is expected", state,
                                         fmt::join(kStates.begin(), kStates.end(), ", ")));
        selector.add_states(std::string(state));
        if (comma == word.size()) return {};
        word.remove_prefix(comma + 1);
    }
}

}  // namespace

Result<wire::Selector> parse_selector(const SelectorWords& words) {
    wire::Selector selector;
    for (const auto& id : words.ids) {
        if (!queue_file::QueueId::parse(id)) return permanent(fmt::format("\"{}\" is no queue id", id));
        selector.add_queue_ids(id);
    }
    if (words.from == "<>") {
        selector.set_null_sender(true);
    } else if (!words.from.empty()) {
        auto address = parse_address("--from", words.from);
        if (!address) return failure(address.error());
        selector.set_sender(*address);
    }
    if (!words.to.empty()) {
        auto address = parse_address("--to", words.to);
        if (!address) return failure(address.error());
        selector.set_recipient(*address);
    }
    if (!words.domain.empty()) {
        std::string_view domain = words.domain;
        selector.set_subdomains(domain.starts_with('.'));
        if (selector.subdomains()) domain.remove_prefix(1);
        if (domain.empty() || domain.starts_with('.') || !is_plain(domain) ||
            domain.find('@') != std::string_view::npos)
            return permanent(fmt::format("--domain \"{}\": a domain is expected", words.domain));
        selector.set_domain(lower_case(domain));
    }
    for (const auto& age : words.ages) {
        auto parsed = parse_age(age, selector);
        if (!parsed) return failure(parsed.error());
    }
    for (const auto& states : words.states) {
        auto parsed = parse_states(states, selector);
        if (!parsed) return failure(parsed.error());
    }
    if (words.last_reply.size() > kMaxText) return permanent("--last-reply: the text is too long");
    selector.set_last_reply(words.last_reply);
    return selector;
}

}  // namespace postrider::admin
