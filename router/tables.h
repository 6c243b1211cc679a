#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/config/client_network.h"
#include "libcommon/config/language.h"
#include "libcommon/config/settings.h"
#include "router/alias_table.h"
#include "router/domain_table.h"
#include "router/path_template.h"
#include "router/policy_table.h"
#include "router/sender_login.h"
#include "router/user_table.h"

/// All that the router knows from its tables. Made by table_builder.h, never changed afterwards.
namespace postrider::router {

/// Whom the mailboxes of a virtual domain belong to.
struct Owner {
    std::string name;
    config::UserIds ids;
};

/// A domain whose mail ends here.
struct LocalDomain {
    std::string name;
    bool is_virtual = false;
    PathTemplate mailbox;
    config::Position position;

    /// The aliases of this domain alone; nullptr if it has no file.
    std::shared_ptr<const AliasTable> aliases;

    // Of virtual domains only.
    std::optional<Owner> owner;              ///< empty: each user of the system owns his mailbox
    std::shared_ptr<const UserTable> users;  ///< nullptr: names are looked up in the system
};

/// A list that an alias includes.
struct IncludedList {
    std::vector<Destination> destinations;
    bool usable = false;  ///< false: it could never be read, so nobody knows who is on it
};

/// How mail for domains that are not local leaves.
struct Route {
    enum class Kind { Mx, Via, Discard, Error, None };
    Kind kind = Kind::Mx;
    std::string next_hop;                      ///< of Via: "host:port", "[address]:port"
    std::uint32_t code = 0;                    ///< of Error: the reply code
    std::string enhanced;                      ///< of Error: "5.1.2"
    std::string text;                          ///< of Error: the words behind it
    std::vector<std::uint32_t> retry_seconds;  ///< empty: the default schedule
    std::uint32_t lifetime_seconds = 0;        ///< 0: the default
    config::Position position;
};

/// A line that needs no value but its place.
struct Rule {
    config::Position position;
};

struct TableLimits {
    std::size_t expanded_recipients = 0;  ///< deliveries that one recipient may become
    std::size_t expansion_steps = 0;      ///< destinations looked at on the way there
    std::size_t nesting = 0;              ///< aliases inside each other
    std::size_t checked_aliases = 0;      ///< of each file, by find_bad_aliases()
};

/// One consistent state of all tables, shared by whoever works with it.
struct Tables {
    std::string hostname;
    std::string recipient_delimiter;  ///< one character or none
    TableLimits limits;

    /// The domain of names without one: the first local domain.
    std::string primary_domain;

    StringMap<LocalDomain> local_domains;
    std::shared_ptr<const AliasTable> common_aliases;  ///< the alias file of `*`; nullptr if there is none
    StringMap<IncludedList> lists;                     ///< by absolute path
    DomainTable<Rule> relay_domains;
    DomainTable<Route> routes;
    PolicyTable policy;
    SenderLogins sender_logins;
    bool sender_login_check = true;  ///< whether sender_login counts at all
    config::SendingRates rates;
    config::ClientPrefixes client_prefixes;

    /// The local domain of that name, or nullptr.
    [[nodiscard]] const LocalDomain* local_domain(std::string_view domain) const;

    /// `address`, with the primary domain where it has none.
    [[nodiscard]] Address qualified(Address address) const;
};

/// An alias, and whose file it stands in.
struct AliasMatch {
    std::shared_ptr<const Alias> alias;  ///< nullptr: none
    bool common = false;                 ///< from the file of `*`
    std::string unclear;                 ///< why nobody can tell now whether there is one; empty: it is clear
};

/// The alias of a folded local part of `domain`: first from the domain's own file, then from the common one;
/// in each the whole local part before the part in front of the delimiter. A file that cannot tell now ends
/// the search, since what stands in later ones would be none of its business.
[[nodiscard]] AliasMatch find_alias(const Tables& tables, const LocalDomain& domain, std::string_view local);

/// Whether there is an alias of exactly this name for the domain, in either file. Temporary error if nobody
/// can tell now.
[[nodiscard]] Result<bool> has_alias(const Tables& tables, const LocalDomain& domain, std::string_view name);

/// The part of a local part in front of its delimiter, or nothing if there is none.
[[nodiscard]] std::optional<std::string> without_detail(const Tables& tables, std::string_view local);

}  // namespace postrider::router
