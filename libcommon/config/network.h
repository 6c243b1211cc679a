#pragma once

#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "libcommon/base/result.h"

/// Internet addresses as values: parsed once, valid ever after.
namespace postrider::config {

/// An IPv4 or IPv6 address. An IPv4-mapped IPv6 address (::ffff:192.0.2.1) becomes the IPv4 address it means
/// wherever it comes from, so that no rule for a network can be avoided by the way a client connects.
class IpAddress {
  public:
    /// 0.0.0.0
    IpAddress() = default;

    /// `192.0.2.1`, `2001:db8::1`, and either in brackets. Permanent error for anything else.
    [[nodiscard]] static Result<IpAddress> parse(std::string_view text);

    /// From 4 or 16 bytes in network order; Permanent error for other lengths.
    [[nodiscard]] static Result<IpAddress> from_bytes(std::string_view bytes);

    /// From what accept() or getpeername() filled in; Permanent error for other families.
    [[nodiscard]] static Result<IpAddress> from_socket(const sockaddr_storage& address);

    [[nodiscard]] bool is_v4() const { return v4_; }
    [[nodiscard]] bool is_v6() const { return !v4_; }

    /// 4 or 16 bytes in network order. The view lives as long as the address.
    [[nodiscard]] std::string_view bytes() const;

    /// 32 or 128.
    [[nodiscard]] unsigned bits() const { return v4_ ? 32 : 128; }

    /// 127.0.0.0/8, ::1.
    [[nodiscard]] bool is_loopback() const;

    /// 0.0.0.0, ::.
    [[nodiscard]] bool is_any() const;

    /// Without brackets: "192.0.2.1", "2001:db8::1".
    [[nodiscard]] std::string text() const;

    /// As SMTP writes it (RFC 5321, 4.1.3): "[192.0.2.1]", "[IPv6:2001:db8::1]".
    [[nodiscard]] std::string literal() const;

    /// The address with all but the first `prefix` bits zero; the key by which clients are counted.
    [[nodiscard]] IpAddress masked(unsigned prefix) const;

    friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

  private:
    bool v4_ = true;
    std::array<char, 16> bytes_{};  // the first four of an IPv4 address, the rest zero
};

/// An address and a port.
struct Endpoint {
    IpAddress address;
    std::uint16_t port = 0;

    /// `192.0.2.1:25`, `[2001:db8::1]:25`. Permanent error for anything else, port 0 included.
    [[nodiscard]] static Result<Endpoint> parse(std::string_view text);

    /// As parse(), and also an address alone (IPv6 with or without brackets), which gets `default_port`.
    [[nodiscard]] static Result<Endpoint> parse(std::string_view text, std::uint16_t default_port);

    /// The form that parse() reads.
    [[nodiscard]] std::string text() const;

    /// Fills `out` for bind() or connect() and returns the length to pass with it.
    [[nodiscard]] socklen_t to_socket(sockaddr_storage& out) const;

    friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

/// A network in CIDR form. Mapped IPv4 networks (::ffff:0:0/96 and longer) become IPv4 networks.
class Network {
  public:
    /// `192.0.2.0/24`, `2001:db8::/32`, `[2001:db8::]/32`, or an address alone (all bits). Bits set behind
    /// the prefix are a Permanent error: they show that another network was meant.
    [[nodiscard]] static Result<Network> parse(std::string_view text);

    [[nodiscard]] bool contains(const IpAddress& address) const;
    [[nodiscard]] const IpAddress& address() const { return address_; }
    [[nodiscard]] unsigned prefix() const { return prefix_; }

    /// "192.0.2.0/24".
    [[nodiscard]] std::string text() const;

    friend auto operator<=>(const Network&, const Network&) = default;

  private:
    IpAddress address_;
    unsigned prefix_ = 0;
};

}  // namespace postrider::config
