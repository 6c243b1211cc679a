#include "libcommon/config/self.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace postrider::config {
namespace {

struct FreeInterfaces {
    void operator()(ifaddrs* list) const { ::freeifaddrs(list); }
};

}  // namespace

Result<std::vector<IpAddress>> interface_addresses() {
    ifaddrs* first = nullptr;
    if (::getifaddrs(&first) < 0) return system_failure("addresses of the network interfaces", errno);
    std::unique_ptr<ifaddrs, FreeInterfaces> list(first);
    std::vector<IpAddress> addresses;
    for (const ifaddrs* entry = list.get(); entry != nullptr; entry = entry->ifa_next) {
        if (entry->ifa_addr == nullptr) continue;
        sockaddr_storage storage{};
        if (entry->ifa_addr->sa_family == AF_INET) {
            std::memcpy(&storage, entry->ifa_addr, sizeof(sockaddr_in));
        } else if (entry->ifa_addr->sa_family == AF_INET6) {
            std::memcpy(&storage, entry->ifa_addr, sizeof(sockaddr_in6));
        } else {
            continue;
        }
        auto address = IpAddress::from_socket(storage);
        if (address) addresses.push_back(*address);
    }
    return addresses;
}

Self::Self(std::string hostname, std::vector<IpAddress> addresses)
    : hostname_(std::move(hostname)), addresses_(addresses.begin(), addresses.end()) {}

bool Self::is_us(const IpAddress& address) const {
    bool this_network = address.is_v4() && address.bytes().front() == '\0';
    return this_network || address.is_any() || address.is_loopback() || addresses_.contains(address);
}

Result<Self> describe_self(const Settings& settings) {
    auto addresses = interface_addresses();
    if (!addresses) return failure(addresses.error());
    addresses->insert(addresses->end(), settings.self_addresses.begin(), settings.self_addresses.end());
    return Self(settings.hostname, std::move(*addresses));
}

}  // namespace postrider::config
