#include "remote-delivery/destination.h"

#include <charconv>
#include <system_error>

#include "libcommon/mail/ascii.h"
#include "libcommon/mail/domain.h"

namespace postrider::remote_delivery {
namespace {

Result<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || port == 0) {
        return permanent("a port is a number from 1 to 65535");
    }
    return port;
}

Result<Destination> parse_address(std::string_view next_hop) {
    std::size_t close = next_hop.find(']');
    if (close == std::string_view::npos) return permanent("an address literal ends with ]");
    std::string_view text = next_hop.substr(1, close - 1);
    std::string_view rest = next_hop.substr(close + 1);
    constexpr std::string_view kTag = "IPv6:";  // RFC 5321, 4.1.3
    if (mail::starts_with_ignoring_case(text, kTag)) text.remove_prefix(kTag.size());
    auto address = config::IpAddress::parse(text);
    if (!address) return failure(address.error());
    Destination destination;
    destination.kind = Destination::Kind::Address;
    destination.address = *address;
    destination.port = kSmtpPort;
    if (rest.empty()) return destination;
    if (!rest.starts_with(':')) return permanent("only a port may follow an address literal");
    auto port = parse_port(rest.substr(1));
    if (!port) return failure(port.error());
    destination.port = *port;
    destination.chosen = true;
    return destination;
}

}  // namespace

Result<Destination> parse_destination(std::string_view next_hop) {
    if (next_hop.starts_with('[')) return parse_address(next_hop);
    Destination destination;
    destination.port = kSmtpPort;
    std::size_t colon = next_hop.rfind(':');
    if (colon != std::string_view::npos) {
        auto port = parse_port(next_hop.substr(colon + 1));
        if (!port) return failure(port.error());
        destination.kind = Destination::Kind::Host;
        destination.port = *port;
        destination.chosen = true;
        next_hop = next_hop.substr(0, colon);
    }
    auto domain = mail::parse_domain(next_hop);
    if (!domain) return failure(domain.error());
    destination.name = domain->name();
    return destination;
}

}  // namespace postrider::remote_delivery
