// Any words as a selection: parsed or refused with a text, and what is parsed is within its bounds.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "admin/selector.h"

using namespace postrider;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    admin::SelectorWords words;
    // A line each; its first character says which word it is.
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty()) continue;
        const std::string word(line.substr(1));
        switch (line.front()) {
            case 'i':
                words.ids.push_back(word);
                break;
            case 'f':
                words.from = word;
                break;
            case 't':
                words.to = word;
                break;
            case 'd':
                words.domain = word;
                break;
            case 'a':
                words.ages.push_back(word);
                break;
            case 's':
                words.states.push_back(word);
                break;
            default:
                words.last_reply = word;
                break;
        }
    }
    const auto selector = admin::parse_selector(words);
    if (!selector && selector.error().text.empty()) std::abort();
    if (selector && selector->domain().starts_with('.') && selector->domain().size() < 2) std::abort();
    return 0;
}
