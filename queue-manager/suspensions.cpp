#include "queue-manager/suspensions.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "queue-manager/message.h"

namespace postrider::queue_manager {

namespace {

constexpr std::size_t kMaxName = 320;

std::string_view take_word(std::string_view& line) {
    const std::size_t blank = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, blank);
    line.remove_prefix(std::min(blank + 1, line.size()));
    return word;
}

template <typename Number>
Number number_in(std::string_view word) {
    Number number = 0;
    std::from_chars(word.data(), word.data() + word.size(), number);
    return number;
}

}  // namespace

bool can_be_suspended(std::string_view name) {
    return !name.empty() && name.size() <= kMaxName && std::all_of(name.begin(), name.end(), [](char c) {
        return static_cast<unsigned char>(c) > ' ' && c != '\x7f';
    });
}

Suspensions::Suspensions(std::string_view text) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const std::string_view name = take_word(line);
        if (!can_be_suspended(name)) continue;
        Since since;
        since.time = number_in<UnixMillis>(take_word(line));
        since.by = number_in<std::uint32_t>(take_word(line));
        names_.emplace(name, since);
    }
}

bool Suspensions::cover(const wire::Delivery& delivery) const {
    if (names_.empty()) return false;
    return covers(delivery.next_hop()) || covers(domain_of(delivery.recipient()));
}

std::vector<std::string> Suspensions::add(const std::vector<std::string>& names, UnixMillis now,
                                          std::uint32_t by) {
    std::vector<std::string> added;
    for (const std::string& name : names) {
        if (can_be_suspended(name) && names_.emplace(name, Since{now, by}).second) added.push_back(name);
    }
    return added;
}

std::vector<std::string> Suspensions::remove(const std::vector<std::string>& names) {
    std::vector<std::string> removed;
    for (const std::string& name : names) {
        if (names_.erase(name) > 0) removed.push_back(name);
    }
    return removed;
}

std::string Suspensions::text() const {
    std::string text;
    for (const auto& [name, since] : names_)
        text += fmt::format("{} {} {}\n", name, since.time, since.by);
    return text;
}

}  // namespace postrider::queue_manager
