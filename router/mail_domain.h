#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libcommon/config/network.h"
#include "router/facts.h"
#include "router/tables.h"

/// What the DNS says of a domain that mail comes from or goes to (RFC 5321, 5.1).
namespace postrider::router {

/// Whether a domain can get mail.
enum class MailDomain {
    Good,
    NoSuchDomain,
    NullMx,   ///< it says that it takes no mail (RFC 7505)
    NoHost,   ///< none of its hosts has an address, or none that could be reached from elsewhere
    Unclear,  ///< the DNS does not say so now
};

/// Looks the domain's exchangers up, and then their addresses until one can be reached.
[[nodiscard]] MailDomain check_mail_domain(const std::string& domain, const Tables& tables, Facts& facts);

/// Whether a domain exists, which is less than that it can get mail: Good, NoSuchDomain or Unclear.
[[nodiscard]] MailDomain check_existence(const std::string& domain, const Tables& tables, Facts& facts);

/// One exchanger of a domain.
struct Exchanger {
    std::uint16_t preference = 0;
    std::string host;
    std::vector<config::IpAddress> addresses;
    bool unclear = false;  ///< the DNS does not say all of its addresses now
    bool is_us = false;
};

/// The exchangers of a domain, the best first, as far as they were looked at.
struct Exchangers {
    MailDomain domain = MailDomain::Good;  ///< NoHost: none has an address
    bool implicit = false;                 ///< there is no MX record, so the domain is its own exchanger
    std::vector<Exchanger> hosts;
    bool complete = true;  ///< false: there are more than dns_mx_hosts

    /// The best exchanger that is this host; nullptr: none of those looked at.
    [[nodiscard]] const Exchanger* us() const;

    /// Those that are strictly better than this host; all of them if it is none.
    [[nodiscard]] std::vector<const Exchanger*> better_than_us() const;
};

/// Looks all exchangers of a domain up, up to dns_mx_hosts.
[[nodiscard]] Exchangers find_exchangers(const std::string& domain, const Tables& tables, Facts& facts);

/// Whether the DNS makes this host a way to a domain.
enum class Admission {
    Admitted,
    NotExchanger,  ///< this host is none of its exchangers; for `backup` also: it is the best one
    NoSuchDomain,
    NullMx,
    PrivateHost,  ///< a better exchanger has an address that is nobody's in the internet
    Unclear,      ///< the DNS does not say so now
};

/// The test of `mx=`: this host must be an exchanger of the domain and, for Backup, one that is strictly
/// better must exist to pass the mail on to (mx-backup, 7).
[[nodiscard]] Admission check_admission(const std::string& domain, MxRule rule, const Tables& tables,
                                        Facts& facts);

/// Whether an address is only valid within somebody's own network (RFC 1918, 3927, 4193, 6598), so that an
/// exchanger which has it cannot be reached from here, or is not the one that was meant.
[[nodiscard]] bool is_private(const config::IpAddress& address);

}  // namespace postrider::router
