#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/result.h"
#include "libcommon/config/network.h"
#include "libcommon/config/settings.h"

namespace postrider::config {

/// Knows which addresses and names are this host, so that mail is never sent in a circle (mx-backup, 4 and
/// 5).
class Self {
  public:
    /// A host without a name, with only the addresses that mean this host everywhere.
    Self() = default;

    /// `addresses` in addition to those that mean this host everywhere: 0.0.0.0/8 ("this network", which the
    /// kernel connects to itself), 127.0.0.0/8, ::1 and ::.
    Self(std::string hostname, std::vector<IpAddress> addresses);

    [[nodiscard]] bool is_us(const IpAddress& address) const;

    /// `name` is canonical.
    [[nodiscard]] bool is_us(std::string_view name) const { return name == hostname_; }

    [[nodiscard]] const std::string& hostname() const { return hostname_; }

  private:
    std::string hostname_;
    std::set<IpAddress> addresses_;
};

/// The addresses of this host's network interfaces. Error: Temporary, when the system does not tell them.
[[nodiscard]] Result<std::vector<IpAddress>> interface_addresses();

/// This host as the configuration and its network interfaces describe it. Error: Temporary, when the system
/// does not tell the addresses of its interfaces.
[[nodiscard]] Result<Self> describe_self(const Settings& settings);

}  // namespace postrider::config
