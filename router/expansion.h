#pragma once

#include <cstdint>
#include <optional>
#include <string>
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
    SystemUser user;                   ///< of Mailbox: with whose rights it is written
    bool system_user = false;          ///< of Mailbox: `user` has supplementary groups in the system
    const Route* route = nullptr;      ///< of Remote: the line that matched; nullptr: by its MX
    std::string failure;               ///< of Failure: "5.1.1 no such user"
    std::optional<std::string> owner;  ///< the address of the list's owner, which becomes the sender
    config::Position rule;             ///< the line that led here
};

/// One line of the way, for explain.
struct TraceLine {
    std::size_t depth = 0;
    std::string text;
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
///   * an address of a domain that is not local is a leaf;
///   * an alias replaces the address by its destinations, each of which starts from the beginning; `$user`,
///     `\name` and an alias that names itself mean the user without alias;
///   * `forward=` of a virtual user replaces his mailbox in the same way;
///   * an address that its own expansion leads back to is dropped there, and a leaf is delivered to once
///   only;
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

}  // namespace postrider::router
