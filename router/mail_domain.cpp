#include "router/mail_domain.h"

#include <algorithm>
#include <array>
#include <utility>

#include "libcommon/dns/exchangers.h"

namespace postrider::router {

namespace {

bool is_unclear(const DnsAnswer& answer) {
    return answer.state == FactState::Unavailable || answer.state == FactState::Pending;
}

/// The MX records of a domain, or why there are none.
struct Records {
    MailDomain domain = MailDomain::Good;
    bool implicit = false;
    std::vector<dns::Mx> mx;
};

Records find_records(const std::string& domain, const Tables& tables, Facts& facts) {
    Records records;
    DnsAnswer answer = facts.dns({domain, dns::Type::Mx, tables.limits.dns_timeout});
    if (is_unclear(answer)) {
        records.domain = MailDomain::Unclear;
    } else if (answer.answer.outcome == dns::Outcome::NoSuchName) {
        records.domain = MailDomain::NoSuchDomain;
    } else if (dns::is_null_mx(answer.answer.records.mx)) {
        records.domain = MailDomain::NullMx;
    } else {
        records.mx = std::move(answer.answer.records.mx);
        records.implicit = records.mx.empty();
        if (records.implicit) records.mx.push_back(dns::implicit_mx(domain));
    }
    return records;
}

/// In the order of preference. Equal ones stand in any order, but always in the same: one question must not
/// be decided in different ways in its rounds.
std::vector<dns::PreferenceGroup> groups_of(std::vector<dns::Mx> records) {
    std::sort(records.begin(), records.end(), [](const dns::Mx& a, const dns::Mx& b) {
        return std::tie(a.preference, a.exchange) < std::tie(b.preference, b.exchange);
    });
    dns::Random random;
    return dns::preference_groups(std::move(records), random);
}

/// Whether mail could be sent there from anywhere else.
bool can_be_reached(const config::IpAddress& address) {
    return !address.is_loopback() && !address.is_any() && address.bytes().front() != '\0';
}

bool any_can_be_reached(const DnsAnswer& answer) {
    const std::vector<config::IpAddress>& addresses = answer.answer.records.addresses;
    return std::any_of(addresses.begin(), addresses.end(), can_be_reached);
}

void look_up_addresses(Exchanger& exchanger, const Tables& tables, Facts& facts) {
    for (const dns::Type type : {dns::Type::A, dns::Type::Aaaa}) {
        DnsAnswer found = facts.dns({exchanger.host, type, tables.limits.dns_timeout});
        exchanger.unclear |= is_unclear(found);
        std::vector<config::IpAddress>& addresses = found.answer.records.addresses;
        exchanger.addresses.insert(exchanger.addresses.end(), addresses.begin(), addresses.end());
    }
    exchanger.is_us =
        tables.self.is_us(std::string_view(exchanger.host)) ||
        std::any_of(exchanger.addresses.begin(), exchanger.addresses.end(),
                    [&](const config::IpAddress& address) { return tables.self.is_us(address); });
}

}  // namespace

MailDomain check_mail_domain(const std::string& domain, const Tables& tables, Facts& facts) {
    const Records records = find_records(domain, tables, facts);
    if (records.domain != MailDomain::Good) return records.domain;
    std::size_t looked_at = 0;
    bool unclear = false;
    // One after the other: nearly always the first address of the first host is good.
    for (const dns::PreferenceGroup& group : groups_of(records.mx)) {
        for (const std::string& host : group.hosts) {
            if (++looked_at > tables.limits.mx_hosts) return MailDomain::Unclear;
            for (const dns::Type type : {dns::Type::A, dns::Type::Aaaa}) {
                const DnsAnswer answer = facts.dns({host, type, tables.limits.dns_timeout});
                if (any_can_be_reached(answer)) return MailDomain::Good;
                if (answer.state == FactState::Pending) return MailDomain::Unclear;
                unclear |= is_unclear(answer);
            }
        }
    }
    return unclear ? MailDomain::Unclear : MailDomain::NoHost;
}

MailDomain check_existence(const std::string& domain, const Tables& tables, Facts& facts) {
    const MailDomain found = find_records(domain, tables, facts).domain;
    return found == MailDomain::NullMx ? MailDomain::Good : found;
}

const Exchanger* Exchangers::us() const {
    const auto found =
        std::find_if(hosts.begin(), hosts.end(), [](const Exchanger& host) { return host.is_us; });
    return found == hosts.end() ? nullptr : &*found;
}

std::vector<const Exchanger*> Exchangers::better_than_us() const {
    std::vector<const Exchanger*> better;
    const Exchanger* own = us();
    for (const Exchanger& host : hosts) {
        if (own == nullptr || host.preference < own->preference) better.push_back(&host);
    }
    return better;
}

Exchangers find_exchangers(const std::string& domain, const Tables& tables, Facts& facts) {
    Exchangers found;
    Records records = find_records(domain, tables, facts);
    found.domain = records.domain;
    found.implicit = records.implicit;
    bool any_address = false;
    bool unclear = false;
    for (const dns::PreferenceGroup& group : groups_of(std::move(records.mx))) {
        for (const std::string& host : group.hosts) {
            if (found.hosts.size() == tables.limits.mx_hosts) {
                found.complete = false;
                return found;
            }
            Exchanger exchanger;
            exchanger.preference = group.preference;
            exchanger.host = host;
            look_up_addresses(exchanger, tables, facts);
            any_address |= !exchanger.addresses.empty();
            unclear |= exchanger.unclear;
            found.hosts.push_back(std::move(exchanger));
        }
    }
    if (found.domain == MailDomain::Good && !any_address) {
        found.domain = unclear ? MailDomain::Unclear : MailDomain::NoHost;
    }
    return found;
}

Admission check_admission(const std::string& domain, MxRule rule, const Tables& tables, Facts& facts) {
    const Exchangers found = find_exchangers(domain, tables, facts);
    if (found.domain == MailDomain::Unclear) return Admission::Unclear;
    if (found.domain == MailDomain::NoSuchDomain) return Admission::NoSuchDomain;
    if (found.domain == MailDomain::NullMx) return Admission::NullMx;
    const std::vector<const Exchanger*> better = found.better_than_us();
    const bool unclear =
        std::any_of(better.begin(), better.end(), [](const Exchanger* host) { return host->unclear; });
    if (found.us() == nullptr) {
        // One that could not be looked up, or was not, may be this host.
        return unclear || !found.complete ? Admission::Unclear : Admission::NotExchanger;
    }
    if (rule == MxRule::Any) return Admission::Admitted;
    bool reachable = false;
    for (const Exchanger* host : better) {
        if (host->unclear) return Admission::Unclear;
        // Whoever writes the MX records must not make us talk to a host in our own network.
        if (std::any_of(host->addresses.begin(), host->addresses.end(), is_private))
            return Admission::PrivateHost;
        reachable |= !host->addresses.empty();
    }
    return reachable ? Admission::Admitted : Admission::NotExchanger;
}

bool is_private(const config::IpAddress& address) {
    static const std::array networks{
        config::Network::parse("10.0.0.0/8").value(),     config::Network::parse("172.16.0.0/12").value(),
        config::Network::parse("192.168.0.0/16").value(), config::Network::parse("169.254.0.0/16").value(),
        config::Network::parse("100.64.0.0/10").value(),  config::Network::parse("fc00::/7").value(),
        config::Network::parse("fe80::/10").value()};
    return std::any_of(networks.begin(), networks.end(),
                       [&](const config::Network& network) { return network.contains(address); });
}

}  // namespace postrider::router
