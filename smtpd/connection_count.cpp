#include "smtpd/connection_count.h"

namespace postrider::smtpd {

using config::IpAddress;
using config::Limit;

ConnectionCount::ConnectionCount(const config::Limits& limits)
    : limit_(limits.size(Limit::MaxConnections)), prefixes_(limits) {}

Origin ConnectionCount::client_of(const Origin& origin) const {
    const auto* address = std::get_if<IpAddress>(&origin);
    return address == nullptr ? origin : Origin(prefixes_.network_of(*address));
}

bool ConnectionCount::admit(const Origin& origin) {
    if (total_ >= limit_) return false;
    ++clients_[client_of(origin)];
    ++total_;
    if (total_ * 10 >= limit_ * 9) load_ = config::Load::Overload;
    return true;
}

void ConnectionCount::release(const Origin& origin) {
    const auto found = clients_.find(client_of(origin));
    if (found == clients_.end()) return;
    if (--found->second == 0) clients_.erase(found);
    --total_;
    // Not at the same number as above, or it would come and go with every connection.
    if (total_ * 10 <= limit_ * 7) load_ = config::Load::Normal;
}

std::size_t ConnectionCount::from(const Origin& origin) const {
    const auto found = clients_.find(client_of(origin));
    return found == clients_.end() ? 0 : found->second;
}

}  // namespace postrider::smtpd
