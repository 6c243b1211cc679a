#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/ipc/router.pb.h"
#include "router/client.h"
#include "router/expansion.h"
#include "router/facts.h"
#include "router/tables.h"

/// Who may send what to whom. Pure functions over the tables and the facts, which must be complete() for what
/// they return to hold; the default is to refuse.
namespace postrider::router {

struct Verdict {
    enum class Action { Accept, Reject, Defer };
    Action action = Action::Accept;
    std::uint32_t code = 0;  ///< reply code of Reject and Defer
    std::string enhanced;
    std::string text;
    std::string rule;  ///< file:line of the deciding line, or a word for a built-in rule

    // Of a recipient that is accepted: what becomes of a message that has it.
    enum class Fate { Deliver, Discard, Quarantine };
    Fate fate = Fate::Deliver;
    std::string fate_rule;               ///< the line that says so
    std::string fate_reason;             ///< of Quarantine
    std::uint64_t max_message_size = 0;  ///< 0: no limit of its own
};

/// The verdict on a client that cannot even be described: it waits, because that is nobody's fault but ours.
[[nodiscard]] Verdict unclear_client();

/// The line or built-in rule ("local", "authenticated") that lets a client send to any domain; empty if none
/// does.
[[nodiscard]] std::string relay_right(const Client& client, const Tables& tables);

/// Whether the client may send to any domain: a local user, who has logged in, or whom a line lets.
[[nodiscard]] bool may_relay(const Client& client, const Tables& tables);

/// The `rcpt` line about a recipient, who has a domain, or nullptr.
[[nodiscard]] const PolicyRule* recipient_line(const Address& recipient, const Tables& tables);

struct ConnectDecision {
    Verdict verdict;
    wire::SessionPolicy policy;
    bool ask_again_with_helo = false;  ///< there are lines that look at the greeting
};

/// May this client talk to us, and how? Lines of `net`, `rdns`, `auth` and `helo` can refuse it, and when it
/// begins its session a block list with at=connect can, unless it may relay. It may relay if it is a local
/// user, if it is authenticated, or if a `net` line or an `rdns` line for its confirmed name says so; what a
/// client says of itself (HELO, MAIL) gives no right.
///
/// Where the policy exempts a recipient (`rcpt postmaster@ accept`), a `net` or `rdns` line's reject and a
/// listing are left to decide_recipient(), because only the recipient tells whether they hold.
[[nodiscard]] ConnectDecision decide_connect(const Client& client, const Tables& tables, Facts& known);

/// May it use this sender? It must be a well-formed address or the null sender; a `sender` line can refuse
/// it, or demand TLS or a login; and on submission it must belong to the login. A user of this host may not
/// use one that `sender_login` lines keep for others, which takes the user database: the kernel says his
/// number, the lines say names. Where `senddns=` says so, the DNS must know the domain of the sender. A
/// `sender` line's reject is left to decide_recipient() where the policy exempts a recipient.
[[nodiscard]] Verdict decide_sender(const Client& client, std::string_view sender, const Tables& tables,
                                    Facts& known);

/// Whether reports to the sender may tell somebody of mail he never sent: he is of no domain that is local or
/// relayed for, and the client may not relay.
[[nodiscard]] bool is_stranger(const Client& client, std::string_view sender, const Tables& tables);

struct RecipientDecision {
    Verdict verdict;
    std::size_t deliveries = 0;  ///< what the recipient becomes; 0 where nothing was expanded
    std::string mailbox;  ///< the path of the mailbox that is all that he becomes; empty: there is more
};

/// May it send from this sender to this recipient? In this order:
///   * a `rcpt` line that refuses, unless the client is trusted;
///   * a `net`, `rdns` or `sender` line that refuses the client or the sender, unless the `rcpt` line says
///     `accept`, the domain is local and the refusal a permanent one; the sender's not if the client is
///     trusted in all;
///   * a local recipient must exist; postmaster, abuse and root of local domains, and <postmaster> without
///     domain, always do, and so do those that a `rcpt` line wants in quarantine, discarded or not verified;
///   * any other domain must be a relay domain or one that we are a backup MX for, or be relayed by a `rcpt`
///     line or by the client's right, which does not count for a sender with `norelay`; then with
///     rcptdns=require the DNS must know it; or the DNS must name this host as `mx=` says;
///   * else the `default rcpt` line refuses, where there is one and no `rcpt` line speaks of the recipient;
///   * else relaying is denied.
/// A recipient that would be accepted is then refused to a client on a block list, unless the recipient is
/// postmaster or abuse of a local domain, its line says `accept` or dnsbl=ignore, or the client may relay.
/// Of one that is accepted the lines `net`, `login`, `helo`, `sender` and `rcpt` say the fate. Quarantine by
/// one of them wins over discard by another; a local recipient whose line says `accept` is spared by all
/// others. With `trace`, the steps of the expansion are appended to it.
[[nodiscard]] RecipientDecision decide_recipient(const Client& client, std::string_view sender,
                                                 std::string_view recipient, const Tables& tables,
                                                 Facts& known, std::vector<TraceLine>* trace = nullptr);

struct VerifyDecision {
    Verdict verdict;
    std::vector<std::string> addresses;
};

/// Does this address, as the client wrote it (a path or a local part), exist? If so the answer is the address
/// in full. With `expand`, and if it is an alias, the answer is what its line names, one level deep, with the
/// members of the lists it includes; programs and files are not shown, since they are nobody's address.
///
/// An address that is not local is accepted without any address if RCPT would accept it: nobody knows here
/// whether it exists (252 of RFC 5321, 3.5.3).
[[nodiscard]] VerifyDecision decide_verify(const Client& client, std::string_view address, bool expand,
                                           const Tables& tables, Facts& known);

}  // namespace postrider::router
