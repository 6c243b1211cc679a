#pragma once

#include <tl/expected.hpp>

#include <string>
#include <vector>

#include "libcommon/async/task.h"
#include "libcommon/config/limits.h"
#include "libcommon/config/network.h"
#include "libcommon/config/self.h"
#include "libcommon/dns/resolver.h"
#include "remote-delivery/destination.h"
#include "remote-delivery/judgement.h"
#include "remote-delivery/preference.h"

namespace postrider::remote_delivery {

/// One address to connect to, and whose it is.
struct Hop {
    std::string name;  ///< the host's name; empty if an address was all we had
    config::Endpoint endpoint;

    /// "name[address]:port", as logs and reports have it.
    [[nodiscard]] std::string text() const;
};

/// Where to connect, best first; never empty. Or why the destination cannot be reached.
using Route = tl::expected<std::vector<Hop>, Judgement>;

/// Finds the hosts of a destination in the DNS (RFC 5321, 5.1).
///
/// Hosts are looked up by preference, and only until there are as many addresses as will be tried. Where a
/// host is this very host, its preference and all worse ones are left out: whoever comes behind us would only
/// send the mail back to us (mx-backup, 4). That takes the addresses of all hosts of a preference before any
/// of it is used.
class RouteFinder {
  public:
    /// The references outlive the finder.
    RouteFinder(dns::Resolver& resolver, const config::Self& self, const config::Limits& limits,
                Random& random)
        : resolver_(resolver), self_(self), limits_(limits), random_(random) {}
    RouteFinder(const RouteFinder&) = delete;
    RouteFinder& operator=(const RouteFinder&) = delete;

    /// The outcomes without a route: 5.1.10 null MX, 5.1.2 no such domain, 5.4.4 no host with an
    /// address, 5.4.6 we are the best host, 4.4.3 the DNS did not answer; 4.3.5 for a host that an
    /// administrator named and that does not exist, because that is a mistake to be mended, not the sender's
    /// fault.
    async::Task<Route> find(Destination destination);

  private:
    /// The addresses of one host.
    struct HostAddresses {
        std::vector<config::IpAddress> v4;
        std::vector<config::IpAddress> v6;
        bool is_us = false;   ///< one of them is ours
        std::string problem;  ///< of the DNS; not empty: there may be more addresses
    };

    async::Task<HostAddresses> look_up(std::string host);
    async::Task<Route> find_exchangers(Destination destination, std::vector<dns::Mx> records);
    async::Task<Route> find_host(Destination destination);

    dns::Resolver& resolver_;
    const config::Self& self_;
    const config::Limits& limits_;
    Random& random_;
};

}  // namespace postrider::remote_delivery
