#pragma once

#include <sys/types.h>

#include <cstddef>
#include <map>
#include <variant>

#include "libcommon/config/client_network.h"

namespace postrider::smtpd {

/// Where a connection comes from: an address, or a user of this host.
using Origin = std::variant<config::IpAddress, uid_t>;

/// How many connections there are, in all and from each client, which is a network (config::ClientPrefixes)
/// or a user of this host.
class ConnectionCount {
  public:
    /// Takes max_connections, client_prefix_v4 and client_prefix_v6.
    explicit ConnectionCount(const config::Limits& limits);

    /// Counts a connection if there is room for it. Whoever was admitted is released once. How many one
    /// client may have is for the session to decide, which asks the router about the client.
    [[nodiscard]] bool admit(const Origin& origin);

    /// Gives the place of an admitted connection back.
    void release(const Origin& origin);

    /// Overload from when nine of ten places are taken until three of ten are free: new sessions get the
    /// tighter limits then.
    [[nodiscard]] config::Load load() const { return load_; }

    [[nodiscard]] std::size_t total() const { return total_; }
    [[nodiscard]] std::size_t from(const Origin& origin) const;

  private:
    [[nodiscard]] Origin client_of(const Origin& origin) const;

    std::size_t limit_;
    config::ClientPrefixes prefixes_;
    std::size_t total_ = 0;
    config::Load load_ = config::Load::Normal;
    std::map<Origin, std::size_t> clients_;
};

}  // namespace postrider::smtpd
