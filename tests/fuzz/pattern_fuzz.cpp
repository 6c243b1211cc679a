// The keys of tables: patterns for local parts, domains and greetings. The first line is the key, the second
// one what is looked up. Whatever parses says the same when it is written again, and matches what a plain
// comparison says.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "router/address_table.h"
#include "router/glob.h"
#include "router/name_patterns.h"
#include "router/redirect_table.h"

namespace {

using namespace postrider;
using namespace postrider::router;

constexpr std::size_t kLongest = 300;

void require(bool condition) {
    if (!condition) std::abort();
}

/// Whether `*` and `?` in `pattern` can be made into `text`: one row of a table for each octet of the
/// pattern.
bool like(std::string_view pattern, std::string_view text) {
    std::vector<bool> row(text.size() + 1, false);
    row[0] = true;
    for (const char octet : pattern) {
        std::vector<bool> next(text.size() + 1, false);
        for (std::size_t i = 0; i <= text.size(); ++i) {
            if (octet == '*') {
                next[i] = row[i] || (i > 0 && next[i - 1]);
            } else if (i > 0) {
                next[i] = row[i - 1] && (octet == '?' || octet == text[i - 1]);
            }
        }
        row = std::move(next);
    }
    return row.back();
}

void check_names(const std::string& pattern, const std::string& text) {
    const Result<NamePattern> whole = NamePattern::parse(pattern);
    require(whole.has_value() == !pattern.empty());
    if (whole) require(whole->matches(text) == like(pattern, text));
    // Several of them, by commas.
    NamePatterns patterns;
    std::optional<std::uint32_t> first;
    std::uint32_t number = 0;
    for (std::size_t start = 0; start <= pattern.size(); ++number) {
        const std::size_t end = std::min(pattern.find(',', start), pattern.size());
        const std::string one = pattern.substr(start, end - start);
        start = end + 1;
        Result<NamePattern> parsed = NamePattern::parse(one);
        if (!parsed) continue;
        if (!first && like(one, text)) first = number;
        patterns.add(std::move(*parsed), number);
    }
    require(patterns.find_first(text) == first);
}

void check_redirect(std::string_view text) {
    const Result<RedirectPattern> pattern = RedirectPattern::parse(text);
    if (!pattern) return;
    const Result<RedirectPattern> again = RedirectPattern::parse(pattern->text());
    require(again && again->local == pattern->local && again->wild == pattern->wild &&
            again->domain.kind == pattern->domain.kind && again->domain.domain == pattern->domain.domain);
}

void check_keys(std::string_view text) {
    if (const Result<DomainPattern> pattern = DomainPattern::parse(text)) {
        const Result<DomainPattern> again = DomainPattern::parse(pattern->text());
        require(again && again->kind == pattern->kind && again->domain == pattern->domain);
    }
    if (const Result<AddressKey> key = AddressKey::parse(text)) {
        const Result<AddressKey> again = AddressKey::parse(key->text());
        require(again && again->kind == key->kind && again->local == key->local &&
                again->pattern.domain == key->pattern.domain);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), std::min(size, kLongest));
    const std::size_t end = std::min(input.find('\n'), input.size());
    const std::string_view key = input.substr(0, end);
    const std::string_view text = end == input.size() ? std::string_view() : input.substr(end + 1);
    check_redirect(key);
    check_keys(key);
    check_names(folded(key), folded(text));
    if (const Result<Glob> glob = Glob::parse(key)) {
        require(glob->literals() <= key.size());
        static_cast<void>(glob->matches(text));
    }
    return 0;
}
