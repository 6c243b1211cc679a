// Replies of the policy table, with what a client sent put into them: by lines the reply, then client, sender
// and recipient. Nothing in it can end the line of the reply, and its codes are what the verb says.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "router/reply_template.h"

namespace {

using namespace postrider;
using namespace postrider::router;

void require(bool condition) {
    if (!condition) std::abort();
}

void check(std::string_view reply, std::string_view facts, bool permanent) {
    const Result<ReplyTemplate> parsed = ReplyTemplate::parse(reply, permanent);
    if (!parsed) return;
    constexpr std::uint32_t kHundred = 100;
    const char first = permanent ? '5' : '4';
    require(parsed->code == 0 || parsed->code / kHundred == static_cast<std::uint32_t>(first - '0'));
    require(parsed->enhanced.empty() || parsed->enhanced.front() == first);
    const std::string_view sender = facts.substr(0, facts.find('\n'));
    for (const char octet : parsed->filled({facts, sender, facts}) + parsed->enhanced) {
        constexpr unsigned char kDelete = 0x7f;
        const auto value = static_cast<unsigned char>(octet);
        require(value >= ' ' && value != kDelete);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::size_t end = std::min(input.find('\n'), input.size());
    const std::string_view facts = end == input.size() ? std::string_view() : input.substr(end + 1);
    check(input.substr(0, end), facts, true);
    check(input.substr(0, end), facts, false);
    return 0;
}
