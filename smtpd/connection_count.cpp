#include "smtpd/connection_count.h"

namespace postrider::smtpd {

using config::IpAddress;
using config::Limit;

ConnectionCount::ConnectionCount(const config::Limits& limits)
    : limit_(limits.size(Limit::MaxConnections)), prefixes_(limits) {}

bool ConnectionCount::admit(const IpAddress& address) {
    if (total_ >= limit_) return false;
    ++clients_[prefixes_.network_of(address)];
    add();
    return true;
}

void ConnectionCount::add() {
    ++total_;
    if (total_ * 10 >= limit_ * 9) load_ = config::Load::Overload;
}

void ConnectionCount::remove() {
    --total_;
    // Not at the same number as above, or it would come and go with every connection.
    if (total_ * 10 <= limit_ * 7) load_ = config::Load::Normal;
}

bool ConnectionCount::admit_local() {
    if (total_ >= limit_) return false;
    add();
    return true;
}

void ConnectionCount::release(const IpAddress& address) {
    const auto found = clients_.find(prefixes_.network_of(address));
    if (found == clients_.end()) return;
    if (--found->second == 0) clients_.erase(found);
    remove();
}

void ConnectionCount::release_local() {
    if (total_ > 0) remove();
}

std::size_t ConnectionCount::from(const IpAddress& address) const {
    const auto found = clients_.find(prefixes_.network_of(address));
    return found == clients_.end() ? 0 : found->second;
}

}  // namespace postrider::smtpd
