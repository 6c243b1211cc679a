#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "router/client.h"
#include "router/facts.h"
#include "router/tables.h"

/// What lines of the policy table make of the DNS: `senddns=`, `rcptdns=`, `mx=` and `dnsbl=`. Each function
/// returns nothing where no line asks for the test, or where it is passed.
namespace postrider::router {

/// Why the DNS is a reason to refuse.
struct DnsRefusal {
    std::uint32_t code = 0;
    std::string_view enhanced;
    std::string text;
    const PolicyRule* rule = nullptr;  ///< the line that asked for the test, never null
};

/// senddns=: the DNS must know the sender's domain. `rule` is the line about the sender, or nullptr. Users of
/// this host are not asked, nor senders of our own domains, whom we know better.
[[nodiscard]] std::optional<DnsRefusal> unknown_sender_domain(const Client& client, const Address& sender,
                                                              const PolicyRule* rule, const Tables& tables,
                                                              Facts& facts);

/// rcptdns=: the DNS must know the domain of a recipient to whom the client may send by its own right.
[[nodiscard]] std::optional<DnsRefusal> unknown_recipient_domain(const Client& client,
                                                                 const std::string& domain,
                                                                 const Tables& tables, Facts& facts);

/// What `mx=` says of a domain for which nothing else speaks: the line that lets its mail pass, or a refusal,
/// or neither.
struct MxDecision {
    const PolicyRule* admitted_by = nullptr;
    std::optional<DnsRefusal> refusal;
};

/// The line whose `mx=` holds for a recipient, unless it is off: `rule`, which is the line about him, or
/// where that is nullptr the `default rcpt` line. nullptr if there is none.
[[nodiscard]] const PolicyRule* mx_line(const PolicyRule* rule, const Tables& tables);

/// `rule` is the line about the recipient, or nullptr, and then the `default rcpt` line counts.
[[nodiscard]] MxDecision decide_by_mx(const std::string& domain, const PolicyRule* rule, const Tables& tables,
                                      Facts& facts);

/// dnsbl=: the client is on a block list, and `at` is when such clients are refused. As soon as some
/// recipient is exempt, that is not before the recipient is known.
[[nodiscard]] std::optional<DnsRefusal> listed_client(const Client& client, BlockStage at,
                                                      const Tables& tables, Facts& facts);

/// Whether a recipient is kept from clients on a block list: not postmaster and abuse of our domains, and not
/// those whose line (`rule`, or nullptr) says `accept` or dnsbl=ignore.
[[nodiscard]] bool counts_block_lists(const Address& recipient, const PolicyRule* rule, const Tables& tables);

}  // namespace postrider::router
