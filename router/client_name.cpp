#include "router/client_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace postrider::router {

std::string reversed_labels(const config::IpAddress& address) {
    std::string labels;
    const std::string_view bytes = address.bytes();
    for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte) {
        const auto octet = static_cast<unsigned char>(*byte);
        if (!labels.empty()) labels += '.';
        labels +=
            address.is_v4() ? fmt::format("{}", octet) : fmt::format("{:x}.{:x}", octet & 0xf, octet >> 4);
    }
    return labels;
}

ClientNames find_client_names(const config::IpAddress& address, const Tables& tables, Facts& facts) {
    ClientNames names;
    const Milliseconds patience = tables.limits.client_name_timeout;
    if (patience == Milliseconds(0)) return names;
    const std::string reverse =
        fmt::format("{}.{}", reversed_labels(address), address.is_v4() ? "in-addr.arpa" : "ip6.arpa");
    DnsAnswer pointers = facts.dns({reverse, dns::Type::Ptr, patience});
    if (pointers.state != FactState::Known) return names;
    std::vector<std::string>& found = pointers.answer.records.names;
    found.resize(std::min(found.size(), tables.limits.ptr_names));
    for (std::string& name : found) {
        const DnsAnswer forward =
            facts.dns({name, address.is_v4() ? dns::Type::A : dns::Type::Aaaa, patience});
        const std::vector<config::IpAddress>& addresses = forward.answer.records.addresses;
        const bool confirmed = std::find(addresses.begin(), addresses.end(), address) != addresses.end();
        if (confirmed && names.confirmed.empty()) {
            names.confirmed = std::move(name);
        } else {
            names.unconfirmed.push_back(std::move(name));
        }
    }
    return names;
}

}  // namespace postrider::router
