#include "remote-delivery/route.h"

#include <fmt/format.h>

#include <utility>

namespace postrider::remote_delivery {
namespace {

using async::Task;

tl::unexpected<Judgement> no_route(Judgement judgement) {
    return tl::unexpected<Judgement>(std::move(judgement));
}

Judgement dns_problem(std::string problem) {
    return deferred("4.4.3", std::move(problem));
}

Judgement loop_to_us(const std::string& destination) {
    return failed("5.4.6", fmt::format("mail for {} loops back to this host", destination));
}

}  // namespace

std::string Hop::text() const {
    return fmt::format("{}[{}]:{}", name, endpoint.address.text(), endpoint.port);
}

Task<Route> RouteFinder::find(Destination destination) {
    if (destination.kind == Destination::Kind::Address) {
        config::IpAddress address = *destination.address;
        if (!destination.chosen && self_.is_us(address)) co_return no_route(loop_to_us(address.text()));
        Hop hop;
        hop.endpoint.address = address;
        hop.endpoint.port = destination.port;
        co_return std::vector<Hop>(1, hop);
    }
    if (destination.kind == Destination::Kind::Host) co_return co_await find_host(std::move(destination));
    Result<dns::Answer> answer = co_await resolver_.lookup(destination.name, dns::Type::Mx);
    if (!answer) co_return no_route(dns_problem(answer.error().text));
    if (answer->outcome == dns::Outcome::NoSuchName) {
        co_return no_route(failed("5.1.2", fmt::format("domain {} does not exist", destination.name)));
    }
    std::vector<dns::Mx> records = std::move(answer->records.mx);
    if (dns::is_null_mx(records)) {
        co_return no_route(failed("5.1.10", fmt::format("domain {} accepts no mail", destination.name)));
    }
    if (records.empty()) {
        // Without MX the domain is its own and only exchanger (RFC 5321, 5.1).
        records.push_back(dns::implicit_mx(destination.name));
    }
    co_return co_await find_exchangers(std::move(destination), std::move(records));
}

Task<Route> RouteFinder::find_exchangers(Destination destination, std::vector<dns::Mx> records) {
    std::vector<dns::PreferenceGroup> groups = dns::preference_groups(std::move(records), random_);
    std::size_t wanted = limits_.size(config::Limit::MxAddresses);
    std::vector<Hop> hops;
    std::string problem;
    bool met_us = false;
    for (std::size_t i = 0; i < groups.size() && hops.size() < wanted && !met_us; ++i) {
        std::vector<Hop> of_group;
        for (std::size_t k = 0; k < groups[i].hosts.size() && !met_us; ++k) {
            std::string host = groups[i].hosts[k];
            met_us = self_.is_us(host);
            if (met_us) continue;
            HostAddresses found = co_await look_up(host);
            met_us = found.is_us;
            if (!found.problem.empty()) problem = found.problem;
            for (const config::IpAddress& address :
                 interleave(std::move(found.v4), std::move(found.v6), random_)) {
                of_group.push_back(Hop{host, config::Endpoint{address, destination.port}});
            }
        }
        if (!met_us) hops.insert(hops.end(), of_group.begin(), of_group.end());
    }
    if (!hops.empty()) co_return hops;
    // A host that could not be looked up may be a better one than we are.
    if (!problem.empty()) co_return no_route(dns_problem(std::move(problem)));
    if (met_us) co_return no_route(loop_to_us(destination.name));
    co_return no_route(failed("5.4.4", fmt::format("no host of {} has an address", destination.name)));
}

Task<Route> RouteFinder::find_host(Destination destination) {
    HostAddresses found = co_await look_up(destination.name);
    std::vector<Hop> hops;
    for (const config::IpAddress& address : interleave(std::move(found.v4), std::move(found.v6), random_)) {
        hops.push_back(Hop{destination.name, config::Endpoint{address, destination.port}});
    }
    if (!hops.empty()) co_return hops;
    if (!found.problem.empty()) co_return no_route(dns_problem(std::move(found.problem)));
    co_return no_route(
        deferred("4.3.5", fmt::format("the configured host {} has no address", destination.name)));
}

Task<RouteFinder::HostAddresses> RouteFinder::look_up(std::string host) {
    HostAddresses found;
    Result<dns::Answer> v4 = co_await resolver_.lookup(host, dns::Type::A);
    if (v4) {
        found.v4 = std::move(v4->records.addresses);
    } else {
        found.problem = v4.error().text;
    }
    Result<dns::Answer> v6 = co_await resolver_.lookup(host, dns::Type::Aaaa);
    if (v6) {
        found.v6 = std::move(v6->records.addresses);
    } else {
        found.problem = v6.error().text;
    }
    for (const config::IpAddress& address : found.v4)
        found.is_us = found.is_us || self_.is_us(address);
    for (const config::IpAddress& address : found.v6)
        found.is_us = found.is_us || self_.is_us(address);
    co_return found;
}

}  // namespace postrider::remote_delivery
