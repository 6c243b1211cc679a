#include "smtpd/connection_count.h"

namespace postrider::smtpd {

using config::IpAddress;
using config::Limit;

ConnectionCount::ConnectionCount(const config::Limits& limits)
    : limit_(limits.size(Limit::MaxConnections)),
      prefix_v4_(static_cast<unsigned>(limits.size(Limit::ClientPrefixV4))),
      prefix_v6_(static_cast<unsigned>(limits.size(Limit::ClientPrefixV6))) {}

IpAddress ConnectionCount::client_of(const IpAddress& address) const {
    return address.masked(address.is_v4() ? prefix_v4_ : prefix_v6_);
}

bool ConnectionCount::admit(const IpAddress& address) {
    if (total_ >= limit_) return false;
    ++clients_[client_of(address)];
    ++total_;
    return true;
}

config::Load ConnectionCount::load() const {
    return total_ * 10 >= limit_ * 9 ? config::Load::Overload : config::Load::Normal;
}

bool ConnectionCount::admit_local() {
    if (total_ >= limit_) return false;
    ++total_;
    return true;
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
