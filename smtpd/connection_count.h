#pragma once

#include <cstddef>
#include <map>

#include "libcommon/config/limits.h"
#include "libcommon/config/network.h"

namespace postrider::smtpd {

/// How many connections there are, in all and from each client. A client is a network: all of an IPv6 /64
/// usually belongs to one host, which could otherwise come from as many addresses as it likes.
class ConnectionCount {
  public:
    /// Takes max_connections, client_prefix_v4 and client_prefix_v6.
    explicit ConnectionCount(const config::Limits& limits);

    /// Counts a connection from `address` if there is room for it. Whoever was admitted is released once. How
    /// many one client may have is for the session to decide, which asks the router about the client.
    [[nodiscard]] bool admit(const config::IpAddress& address);

    /// The same for a local socket, whose users share the room of one suite but have no address.
    [[nodiscard]] bool admit_local();

    /// Gives the place of an admitted connection back.
    void release(const config::IpAddress& address);
    void release_local();

    /// Overload when nine of ten connections are in use: then new ones get the tighter limits.
    [[nodiscard]] config::Load load() const;

    [[nodiscard]] std::size_t total() const { return total_; }
    [[nodiscard]] std::size_t from(const config::IpAddress& address) const;

  private:
    [[nodiscard]] config::IpAddress client_of(const config::IpAddress& address) const;

    std::size_t limit_;
    unsigned prefix_v4_;
    unsigned prefix_v6_;
    std::size_t total_ = 0;
    std::map<config::IpAddress, std::size_t> clients_;
};

}  // namespace postrider::smtpd
