// What remote-delivery reads besides replies: where a job goes, which an address literal of a stranger may
// have become, and the keywords of a server, one a line.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/mail/domain.h"
#include "remote-delivery/capabilities.h"
#include "remote-delivery/destination.h"

namespace {

using namespace postrider;
using namespace postrider::remote_delivery;

void require(bool condition) {
    if (!condition) std::abort();
}

void check_destination(std::string_view text) {
    const Result<Destination> found = parse_destination(text);
    if (!found) return;
    require(found->port != 0);
    require(found->address.has_value() == (found->kind == Destination::Kind::Address));
    if (found->kind == Destination::Kind::Address) {
        // Only an administrator writes a port.
        require(found->chosen == (text.back() != ']'));
        return;
    }
    const Result<mail::Domain> name = mail::parse_domain(found->name);
    require(name && name->name() == found->name && !name->is_literal());
    require(found->chosen == (found->kind == Destination::Kind::Host));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_destination(text);
    std::vector<std::string> lines{"mx.example.org"};
    for (std::size_t start = 0; start < text.size();) {
        const std::size_t end = std::min(text.find('\n', start), text.size());
        lines.emplace_back(text.substr(start, end - start));
        start = end + 1;
    }
    const Capabilities found = parse_capabilities(lines);
    require(found.esmtp && (found.size || found.size_limit == 0));
    return 0;
}
