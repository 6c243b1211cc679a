#pragma once

#include <cstddef>
#include <map>

#include "libcommon/config/client_network.h"

namespace postrider::smtpd {

/// How many connections there are, in all and from each client, which is a network (config::ClientPrefixes).
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

    /// Overload from when nine of ten places are taken until three of ten are free: new sessions get the
    /// tighter limits then.
    [[nodiscard]] config::Load load() const { return load_; }

    [[nodiscard]] std::size_t total() const { return total_; }
    [[nodiscard]] std::size_t from(const config::IpAddress& address) const;

  private:
    void add();
    void remove();

    std::size_t limit_;
    config::ClientPrefixes prefixes_;
    std::size_t total_ = 0;
    config::Load load_ = config::Load::Normal;
    std::map<config::IpAddress, std::size_t> clients_;
};

}  // namespace postrider::smtpd
