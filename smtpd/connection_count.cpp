#include "smtpd/connection_count.h"

namespace postrider::smtpd {

using config::IpAddress;
using config::Limit;

ConnectionCount::ConnectionCount(const config::Limits& limits)
    : limit_(limits.size(Limit::MaxConnections)),
      limit_per_client_(limits.size(Limit::MaxConnectionsPerClient)),
      limit_per_client_overload_(limits.size(Limit::MaxConnectionsPerClient, config::Load::Overload)),
      prefix_v4_(static_cast<unsigned>(limits.size(Limit::ClientPrefixV4))),
      prefix_v6_(static_cast<unsigned>(limits.size(Limit::ClientPrefixV6))) {}

IpAddress ConnectionCount::client_of(const IpAddress& address) const {
    return address.masked(address.is_v4() ? prefix_v4_ : prefix_v6_);
}

Admission ConnectionCount::admit(const IpAddress& address) {
    if (total_ >= limit_) return Admission::TooManyConnections;
    const std::size_t limit =
        load() == config::Load::Overload ? limit_per_client_overload_ : limit_per_client_;
    const IpAddress client = client_of(address);
    // Looked up before it is inserted, so that refused clients leave nothing behind.
    const auto found = clients_.find(client);
    if (found == clients_.end()) {
        if (limit == 0) return Admission::TooManyFromClient;
        clients_.emplace(client, 1);
    } else {
        if (found->second >= limit) return Admission::TooManyFromClient;
        ++found->second;
    }
    ++total_;
    return Admission::Admitted;
}

config::Load ConnectionCount::load() const {
    return total_ * 10 >= limit_ * 9 ? config::Load::Overload : config::Load::Normal;
}

Admission ConnectionCount::admit_local() {
    if (total_ >= limit_) return Admission::TooManyConnections;
    ++total_;
    return Admission::Admitted;
}

void ConnectionCount::release(const IpAddress& address) {
    const auto found = clients_.find(client_of(address));
    if (found == clients_.end()) return;
    if (--found->second == 0) clients_.erase(found);
    --total_;
}

void ConnectionCount::release_local() {
    if (total_ > 0) --total_;
}

std::size_t ConnectionCount::from(const IpAddress& address) const {
    const auto found = clients_.find(client_of(address));
    return found == clients_.end() ? 0 : found->second;
}

}  // namespace postrider::smtpd
