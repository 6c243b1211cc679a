// Alias files and the lists they include, which users may write: any octets at all give aliases or errors,
// and what they give is in order.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "router/alias_table.h"

namespace {

using namespace postrider;
using router::Destination;

constexpr std::size_t kErrors = 16;

void require(bool condition) {
    if (!condition) std::abort();
}

void check(const Destination& destination, bool from_list) {
    switch (destination.kind) {
        case Destination::Kind::Mail: {
            const Result<router::Address> again = router::parse_address(destination.address.text());
            require(again && *again == destination.address);
            break;
        }
        case Destination::Kind::User:
            require(destination.address.domain.empty());
            break;
        case Destination::Kind::File:
        case Destination::Kind::Include:
            require(destination.text.starts_with('/'));
            [[fallthrough]];
        case Destination::Kind::Program:
            require(!destination.text.empty() && destination.text.find('\0') == std::string::npos);
            require(destination.text.find('\n') == std::string::npos);
            require(!from_list || destination.kind == Destination::Kind::Include);
            break;
    }
    require(destination.position.line > 0 && destination.position.column > 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto file = std::make_shared<const std::string>("/etc/aliases");
    config::Errors errors(kErrors);
    const auto table = router::parse_alias_table(std::string(text), file, errors);
    std::uint32_t line = 0;
    table->for_each([&](const router::Alias& alias) {
        require(!alias.name.empty() && !alias.destinations.empty() && alias.position.line > line);
        line = alias.position.line;
        for (const Destination& destination : alias.destinations)
            check(destination, false);
        const router::AliasAnswer again = alias.wild ? table->find_wild(alias.name) : table->find(alias.name);
        require(again && *again);
        // An earlier pattern may match this one as if its wildcards were letters.
        require(alias.wild ? (*again)->position.line <= line : (*again)->position.line == line);
        return true;
    });
    for (const Destination& destination : router::parse_alias_list(text, file, errors))
        check(destination, true);
    return 0;
}
