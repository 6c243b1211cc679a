#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "router/address.h"
#include "router/facts.h"
#include "router/tables.h"

/// From a recipient to its deliveries: aliases, lists, `$user` and users, whatever they lead to. Nothing here
/// reads a file or waits.
namespace postrider::router {

/// One place where a copy of the message goes. The pointers live as long as the tables.
struct Leaf {
    enum class Kind {
        Mailbox,
        Remote,
        Program,
        File,
        Discard,  ///< a file that keeps nothing: /dev/null
        Failure,  ///< an address that does not exist, on a list on which others do
    };
    Kind kind = Kind::Failure;
    Address address;                   ///< the last address on the way here
    std::string path;                  ///< of Mailbox and File; the command line of Program
    std::string user_key;              ///< of Mailbox: `user` of the system, or `user@domain`
    SystemUser user;                   ///< with whose rights it is written or run
    bool system_user = false;          ///< `user` has supplementary groups in the system
    bool forward_file = false;         ///< of Mailbox: the user's forward file comes first
    std::uint64_t quota = 0;           ///< of Mailbox: octets that it may have; 0: any number
    std::string detail;                ///< of Mailbox: what stands behind the delimiter, folded
    const Route* route = nullptr;      ///< of Remote: the line that matched; nullptr: by its MX
    bool backup = false;               ///< of Remote: this host is a backup MX of the domain (resolve.h)
    std::string failure;               ///< of Failure: "5.1.1 no such user"
    std::optional<std::string> owner;  ///< the address of the list's owner, which becomes the sender
    config::Position rule;             ///< the line that led here
};

/// One step of the way, for explain.
struct TraceLine {
    std::size_t depth = 0;
    std::string address;  ///< that it is about; empty where the step is about none
    std::string_view
        step;            ///< alias, redirect, redirect+copy, forward, forward_file, list, catchall, mailbox,
                         ///< program, file, remote, failure; or, where the way ends, circle and known
    std::string detail;  ///< what is there: the name of the alias, the path, the reason
    std::string rule;    ///< the line that says so
};

/// What became of a recipient.
struct Expansion {
    enum class Outcome {
        Delivered,  ///< to all of `leaves`
        Refused,    ///< permanently, for the reason given by `enhanced` and `text`
        Deferred,   ///< the same, but worth another try
        Held,       ///< an is_reserved() name that leads to nobody: to be kept until it leads to somebody
    };
    Outcome outcome = Outcome::Refused;
    std::vector<Leaf> leaves;
    std::string enhanced;
    std::string text;
    config::Position rule;  ///< the line that decided: that of the alias or of the domain
};

/// Whether a local part, folded, is one whose mail is never refused: postmaster (RFC 5321, 4.5.1), abuse (RFC
/// 2142), and root, to whom the system itself writes.
[[nodiscard]] bool is_reserved(std::string_view local);

/// Expands `root`, which has a domain. The rules:
///   * redirect lines come first, for local addresses and, with scope=any, for all others, too: all that
///   match
///     the address replace it; redirect+copy adds the address itself, without redirect lines;
///   * an address of a domain that is not local is then a leaf;
///   * a further name of a local domain (alias_domain) means that domain;
///   * an alias replaces the address by its destinations, each of which starts from the beginning; `$user`,
///     `\name` and an alias that names itself mean the user without alias;
///   * `forward=` of a virtual user replaces his mailbox in the same way;
///   * an address that its own expansion leads back to is dropped there, and a leaf is delivered to once
///     only;
///   * what no user of a local domain gets goes to the mailbox of its catch-all;
///   * when nothing is left in this way, that is a loop: 5.4.6, never silence;
///   * too many leaves: 5.5.3; too deep: 5.4.6; a user who is not known: 5.1.1;
///   * root and other users of uid 0 have no mailbox; abuse and root without alias mean postmaster of their
///   domain,
///     and he without alias means postmaster of the primary domain;
///   * if one user cannot be looked up now, the whole recipient is deferred.
///
/// With `trace`, each step is appended to it.
[[nodiscard]] Expansion expand(const Address& root, const Tables& tables, Facts& facts,
                               std::vector<TraceLine>* trace = nullptr);

/// A user's forward file, and whose it is.
struct ForwardFile {
    Address owner;                   ///< whom the message was to be delivered to
    std::string user;                ///< his name without detail: destinations of that name mean himself
    std::vector<Address> ancestors;  ///< whose forward files led to him, the first one first
    SystemUser rights;               ///< with whose rights its programs run and its files are written
    bool system_user = false;        ///< as Leaf::system_user, for these
    std::vector<Destination> destinations;
    config::Position position;
};

/// Expands what stands in a forward file by the same rules. What leads back to the mailbox of the owner or of
/// an ancestor, whose files are read already, is dropped there; the owner himself, however he is written in
/// the file, is his mailbox without forward file.
[[nodiscard]] Expansion expand_forward_file(const ForwardFile& file, const Tables& tables, Facts& facts,
                                            std::vector<TraceLine>* trace = nullptr);

}  // namespace postrider::router
