#include "libcommon/config/surroundings.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <memory>

namespace postrider::config {

std::string system_host_name() {
    std::array<char, HOST_NAME_MAX + 1> buffer{};
    if (::gethostname(buffer.data(), buffer.size() - 1) != 0) return {};
    std::string name = buffer.data();
    if (name.find('.') != std::string::npos) return name;
    addrinfo hints{};
    hints.ai_flags = AI_CANONNAME;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(name.c_str(), nullptr, &hints, &found) != 0) return name;
    std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
    return found->ai_canonname != nullptr ? found->ai_canonname : name;
}

std::vector<Endpoint> resolvers_of(std::string_view resolv_conf) {
    constexpr std::string_view kBlanks = " \t\r";
    constexpr std::string_view kKeyword = "nameserver";
    std::vector<Endpoint> resolvers;
    while (!resolv_conf.empty()) {
        std::string_view line = resolv_conf.substr(0, resolv_conf.find('\n'));
        resolv_conf.remove_prefix(std::min(line.size() + 1, resolv_conf.size()));
        if (!line.starts_with(kKeyword)) continue;
        line.remove_prefix(kKeyword.size());
        std::size_t first = line.find_first_not_of(kBlanks);
        if (first == 0 || first == std::string_view::npos) continue;
        line.remove_prefix(first);
        if (auto address = IpAddress::parse(line.substr(0, line.find_first_of(kBlanks)))) {
            resolvers.push_back({*address, kDnsPort});
        }
    }
    if (resolvers.empty()) {
        constexpr std::string_view kLoopback("\x7f\0\0\1", 4);
        if (auto address = IpAddress::from_bytes(kLoopback)) resolvers.push_back({*address, kDnsPort});
    }
    return resolvers;
}

}  // namespace postrider::config
