// The value of dnsbl= and dnswl=: whatever parses names zones that can be asked, and says the same when it is
// written again.

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/mail/domain.h"
#include "router/policy_item.h"

namespace {

using namespace postrider;
using router::DnsList;

void require(bool condition) {
    if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Result<std::vector<DnsList>> lists =
        DnsList::parse_all({reinterpret_cast<const char*>(data), size});
    if (!lists) return 0;
    require(!lists->empty());
    std::string written;
    for (const DnsList& list : *lists) {
        const Result<mail::Domain> zone = mail::parse_domain(list.zone);
        require(zone && zone->name() == list.zone && !zone->is_literal());
        written += fmt::format("{}{}", written.empty() ? "" : ":", list.zone);
        if (list.mask != 0) written += fmt::format("/{}", list.mask);
    }
    const Result<std::vector<DnsList>> again = DnsList::parse_all(written);
    require(again && again->size() == lists->size());
    for (std::size_t i = 0; i < lists->size(); ++i)
        require((*again)[i].zone == (*lists)[i].zone && (*again)[i].mask == (*lists)[i].mask);
    return 0;
}
