#include "router/etrn.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "router/mail_domain.h"
#include "router/way_out.h"

namespace postrider::router {

namespace {

/// Whether an address belongs to a destination.
enum class Belongs { Yes, No, Unclear };

Verdict not_allowed(const std::string& domain) {
    Verdict verdict;
    verdict.action = Verdict::Action::Defer;  // 459 is a reply of that class (RFC 1985, 5.2)
    verdict.code = 459;
    verdict.enhanced = "4.7.1";
    verdict.text = fmt::format("Mail for {} does not go to your address", domain);
    verdict.rule = "etrn-exchangers";
    return verdict;
}

Verdict cannot_tell(const std::string& domain) {
    Verdict verdict;
    verdict.action = Verdict::Action::Defer;
    verdict.code = 458;
    verdict.enhanced = "4.4.3";
    verdict.text = fmt::format("The DNS does not say now where mail for {} goes", domain);
    verdict.rule = "etrn-exchangers";
    return verdict;
}

bool contains(const std::vector<config::IpAddress>& addresses, const config::IpAddress& address) {
    return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
}

/// `next_hop` is that of a `via` line: "host:port" or "[address]:port".
Belongs belongs_to_host(const config::IpAddress& address, const std::string& next_hop, const Tables& tables,
                        Facts& facts) {
    const std::string host = next_hop.substr(0, next_hop.rfind(':'));
    if (host.starts_with('[')) {
        const Result<config::IpAddress> literal = config::IpAddress::parse(host);
        return literal && *literal == address ? Belongs::Yes : Belongs::No;
    }
    const dns::Type type = address.is_v4() ? dns::Type::A : dns::Type::Aaaa;
    const DnsAnswer found = facts.dns({host, type, tables.limits.dns_timeout});
    if (contains(found.answer.records.addresses, address)) return Belongs::Yes;
    const bool clear = found.state == FactState::Known || found.state == FactState::Unknown;
    return clear ? Belongs::No : Belongs::Unclear;
}

Belongs belongs_to_exchanger(const config::IpAddress& address, const std::string& domain,
                             const Tables& tables, Facts& facts) {
    const Exchangers found = find_exchangers(domain, tables, facts);
    bool unclear = found.domain == MailDomain::Unclear || !found.complete;
    for (const Exchanger& host : found.hosts) {
        if (contains(host.addresses, address)) return Belongs::Yes;
        unclear |= host.unclear;
    }
    return unclear ? Belongs::Unclear : Belongs::No;
}

}  // namespace

Verdict decide_etrn(const Client& client, const std::string& domain, const Tables& tables, Facts& facts) {
    // Mail for a local domain waits for no host, and a user of this host is none.
    if (!client.address || tables.local_domain(domain) != nullptr) return not_allowed(domain);
    const WayOut way = find_way_out(Address{{}, domain}, tables, facts);
    const Route::Kind kind = way.route == nullptr ? Route::Kind::Mx : way.route->kind;
    Belongs belongs = Belongs::No;
    if (kind == Route::Kind::Mx) {
        belongs = belongs_to_exchanger(*client.address, domain, tables, facts);
    } else if (kind == Route::Kind::Via) {
        belongs = belongs_to_host(*client.address, way.route->next_hop, tables, facts);
    }
    if (way.unclear && belongs != Belongs::Yes) belongs = Belongs::Unclear;
    switch (belongs) {
        case Belongs::Yes:
            break;
        case Belongs::No:
            return not_allowed(domain);
        case Belongs::Unclear:
            return cannot_tell(domain);
    }
    Verdict accepted;
    accepted.rule = way.route == nullptr ? "etrn-exchangers" : way.route->position.line_text();
    return accepted;
}

}  // namespace postrider::router
