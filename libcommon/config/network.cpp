#include "libcommon/config/network.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace postrider::config {

namespace {

constexpr std::size_t kV4Length = 4;
constexpr std::size_t kV6Length = 16;
constexpr std::string_view kMappedPrefix("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
constexpr unsigned kMappedBits = 96;

std::string_view without_brackets(std::string_view text) {
    if (text.size() >= 2 && text.front() == '[' && text.back() == ']') return text.substr(1, text.size() - 2);
    return text;
}

template <typename Number>
bool parse_whole(std::string_view text, Number& out) {
    const char* end = text.data() + text.size();
    auto [stop, error] = std::from_chars(text.data(), end, out);
    return error == std::errc() && stop == end && !text.empty();
}

Result<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    if (!parse_whole(text, port) || port == 0) {
        return permanent(fmt::format("\"{}\" is not a port (1 to 65535)", text));
    }
    return port;
}

}  // namespace

Result<IpAddress> IpAddress::parse(std::string_view text) {
    std::string plain(without_brackets(text));
    std::array<char, kV6Length> bytes{};
    if (::inet_pton(AF_INET, plain.c_str(), bytes.data()) == 1 && plain.find('\0') == std::string::npos) {
        return from_bytes({bytes.data(), kV4Length});
    }
    if (::inet_pton(AF_INET6, plain.c_str(), bytes.data()) == 1 && plain.find('\0') == std::string::npos) {
        return from_bytes({bytes.data(), kV6Length});
    }
    return permanent(fmt::format("\"{}\" is not an IP address", text));
}

Result<IpAddress> IpAddress::from_bytes(std::string_view bytes) {
    if (bytes.size() == kV6Length && bytes.starts_with(kMappedPrefix)) {
        bytes.remove_prefix(kMappedPrefix.size());
    }
    if (bytes.size() != kV4Length && bytes.size() != kV6Length) {
        return permanent(fmt::format("an IP address has 4 or 16 bytes, not {}", bytes.size()));
    }
    IpAddress address;
    address.v4_ = bytes.size() == kV4Length;
    std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
    return address;
}

Result<IpAddress> IpAddress::from_socket(const sockaddr_storage& address) {
    std::array<char, kV6Length> bytes{};
    if (address.ss_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, &address, sizeof v4);
        std::memcpy(bytes.data(), &v4.sin_addr, kV4Length);
        return from_bytes({bytes.data(), kV4Length});
    }
    if (address.ss_family == AF_INET6) {
        sockaddr_in6 v6{};
        std::memcpy(&v6, &address, sizeof v6);
        std::memcpy(bytes.data(), &v6.sin6_addr, kV6Length);
        return from_bytes({bytes.data(), kV6Length});
    }
    return permanent(fmt::format("address family {} is not of the internet", address.ss_family));
}

std::string_view IpAddress::bytes() const {
    return {bytes_.data(), v4_ ? kV4Length : kV6Length};
}

bool IpAddress::is_loopback() const {
    if (v4_) return bytes_[0] == 127;
    return bytes_[15] == 1 && std::all_of(bytes_.begin(), bytes_.end() - 1, [](char c) { return c == 0; });
}

bool IpAddress::is_any() const {
    return std::all_of(bytes_.begin(), bytes_.end(), [](char c) { return c == 0; });
}

std::string IpAddress::text() const {
    std::array<char, INET6_ADDRSTRLEN> buffer{};
    ::inet_ntop(v4_ ? AF_INET : AF_INET6, bytes_.data(), buffer.data(), buffer.size());
    return buffer.data();
}

std::string IpAddress::literal() const {
    return fmt::format("[{}{}]", v4_ ? "" : "IPv6:", text());
}

IpAddress IpAddress::masked(unsigned prefix) const {
    IpAddress result = *this;
    std::size_t length = bytes().size();
    for (std::size_t i = 0; i < length; ++i) {
        unsigned first_bit = static_cast<unsigned>(i) * 8;
        if (first_bit + 8 <= prefix) continue;
        unsigned kept = first_bit >= prefix ? 0 : prefix - first_bit;
        unsigned mask = (0xff00U >> kept) & 0xffU;
        result.bytes_[i] = static_cast<char>(static_cast<unsigned char>(bytes_[i]) & mask);
    }
    return result;
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
    std::size_t colon = text.rfind(':');
    std::string_view host = text.substr(0, colon);
    bool bracketed = host.starts_with('[') && host.ends_with(']');
    bool ambiguous = !bracketed && host.find(':') != std::string_view::npos;
    if (colon == std::string_view::npos || ambiguous) {
        return permanent(fmt::format("\"{}\" is not ADDRESS:PORT or [ADDRESS]:PORT", text));
    }
    auto address = IpAddress::parse(host);
    if (!address) return failure(address.error());
    auto port = parse_port(text.substr(colon + 1));
    if (!port) return failure(port.error());
    return Endpoint{*address, *port};
}

Result<Endpoint> Endpoint::parse(std::string_view text, std::uint16_t default_port) {
    if (auto address = IpAddress::parse(text)) return Endpoint{*address, default_port};
    return parse(text);
}

std::string Endpoint::text() const {
    return fmt::format("{}:{}", address.is_v4() ? address.text() : "[" + address.text() + "]", port);
}

socklen_t Endpoint::to_socket(sockaddr_storage& out) const {
    out = {};
    if (address.is_v4()) {
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        std::memcpy(&v4.sin_addr, address.bytes().data(), kV4Length);
        std::memcpy(&out, &v4, sizeof v4);
        return sizeof v4;
    }
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, address.bytes().data(), kV6Length);
    std::memcpy(&out, &v6, sizeof v6);
    return sizeof v6;
}

Result<Network> Network::parse(std::string_view text) {
    std::size_t slash = text.find('/');
    std::string_view host = without_brackets(text.substr(0, slash));
    auto address = IpAddress::parse(host);
    if (!address) return permanent(fmt::format("\"{}\" is not an IP address or ADDRESS/PREFIX", text));
    // The prefix counts bits of the form that was written: a mapped address was written with 128.
    bool mapped = address->is_v4() && host.find(':') != std::string_view::npos;
    unsigned most = mapped ? 128 : address->bits();
    unsigned prefix = most;
    if (slash != std::string_view::npos && (!parse_whole(text.substr(slash + 1), prefix) || prefix > most)) {
        return permanent(
            fmt::format("\"{}\" is not a prefix length (0 to {})", text.substr(slash + 1), most));
    }
    if (mapped && prefix < kMappedBits) {
        return permanent(fmt::format("\"{}\" mixes IPv4 and IPv6 addresses", text));
    }
    Network network;
    network.address_ = *address;
    network.prefix_ = mapped ? prefix - kMappedBits : prefix;
    if (address->masked(network.prefix_) != *address) {
        return permanent(fmt::format("\"{}\" has bits set behind its prefix; the network is {}/{}", text,
                                     address->masked(network.prefix_).text(), network.prefix_));
    }
    return network;
}

bool Network::contains(const IpAddress& address) const {
    return address.is_v4() == address_.is_v4() && address.masked(prefix_) == address_;
}

std::string Network::text() const {
    return fmt::format("{}/{}", address_.text(), prefix_);
}

}  // namespace postrider::config
