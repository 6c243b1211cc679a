#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/clock.h"
#include "libcommon/config/client_network.h"
#include "libcommon/config/language.h"
#include "libcommon/config/self.h"
#include "libcommon/config/settings.h"
#include "libcommon/ipc/queue.pb.h"
#include "router/alias_table.h"
#include "router/domain_table.h"
#include "router/path_template.h"
#include "router/policy_table.h"
#include "router/redirect_table.h"
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
    std::uint64_t quota = 0;  ///< octets that a mailbox may have where its user has no own number; 0: any
    config::Position position;

    /// The aliases of this domain alone; nullptr if it has no file.
    std::shared_ptr<const AliasTable> aliases;

    /// Who gets what nobody else in this domain gets: a folded name in this domain; empty: nobody.
    std::string catchall;
    config::Position catchall_position;

    // Of virtual domains only.
    std::optional<Owner> owner;              ///< empty: each user of the system owns his mailbox
    std::shared_ptr<const UserTable> users;  ///< nullptr: they are in no table
    std::string users_socket;                ///< of the server that knows them; empty: there is none
    /// Whether it has users of its own; else they are users of the system.
    [[nodiscard]] bool has_users() const { return users != nullptr || !users_socket.empty(); }
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
    bool hold = false;                         ///< nothing leaves but when the domain is flushed
    bool never_expires = false;                ///< of a route with `hold`
    wire::RouteLimits limits;
    wire::RouteSchedule schedule;  ///< `manual` is `hold`
    bool compulsory = false;       ///< there is no other way out of this network
    config::Position position;
};

/// A line that gives a local domain a further name.
struct DomainAlias {
    std::string domain;  ///< a key of Tables::local_domains
    config::Position position;
};

/// A line that needs no value but its place.
struct Rule {
    config::Position position;
};

/// A domain, or a domain with all below it, that this host is a backup MX for.
struct Backup {
    bool enabled = true;  ///< false: mail that came before is still delivered, new mail is not accepted
    config::Position position;
};

/// When mail for the domains of `backups` is tried where its route does not say.
struct BackupSchedule {
    std::vector<std::uint32_t> retry_seconds;
    std::uint32_t lifetime_seconds = 0;
};

/// What the general configuration says about sessions, for explain.
struct GeneralSettings {
    config::Limits limits;
    std::vector<config::Listener> listeners;
    std::map<std::string, config::Position, std::less<>> origins;  ///< as Settings::origins

    /// The listener on a port, or for local users; nullptr if there is none.
    [[nodiscard]] const config::Listener* listener(std::uint16_t port, bool local) const;

    /// Where a directive was given, "default" where it was not.
    [[nodiscard]] std::string origin(std::string_view directive) const;
};

struct TableLimits {
    std::size_t expanded_recipients = 0;  ///< deliveries that one recipient may become
    std::size_t expansion_steps = 0;      ///< destinations looked at on the way there
    std::size_t nesting = 0;              ///< aliases inside each other
    std::size_t ptr_names = 0;            ///< reverse names of a client that are looked at
    std::size_t mx_hosts = 0;             ///< exchangers of a domain that are looked at
    Milliseconds dns_timeout{0};          ///< of a chain of look-ups that a decision needs
    Milliseconds client_name_timeout{0};  ///< 0: names of clients are not looked up
    Milliseconds dnsbl_timeout{0};
    Milliseconds full_mailbox_time{0};  ///< how long it is believed that a mailbox is full
    std::size_t rate_names = 20'000;    ///< names of each kind whose rates are counted
    std::size_t checked_aliases = 0;    ///< of each file, by find_bad_aliases()
};

/// One consistent state of all tables, shared by whoever works with it.
struct Tables {
    std::string hostname;
    std::string recipient_delimiter;          ///< one character or none
    std::string forward_file;                 ///< of system users, "~/…"; empty: none
    bool forward_file_overrides_self = true;  ///< also for a user whom an alias calls himself
    TableLimits limits;

    /// The domain of names without one: the first local domain.
    std::string primary_domain;

    StringMap<LocalDomain> local_domains;
    StringMap<DomainAlias> domain_aliases;  ///< further names of local domains
    RedirectTable redirects;
    bool redirect_all_matches = true;  ///< false: only the first line that matches an address counts
    bool over_quota_fails = false;     ///< mail for a full mailbox is returned at once; else it waits
    bool lookup_may_pipe = false;      ///< whether what a server says of a user may name programs and files
    bool alias_fallthrough = true;     ///< false: common_aliases are for domains without aliases of their own
    std::shared_ptr<const AliasTable> common_aliases;  ///< the alias file of `*`; nullptr if there is none
    StringMap<IncludedList> lists;                     ///< by absolute path
    DomainTable<Rule> relay_domains;
    DomainTable<Route> routes;
    DomainTable<Backup> backups;
    BackupSchedule backup_schedule;
    PolicyTable policy;
    SenderLogins sender_logins;
    bool sender_login_check = true;  ///< whether sender_login counts at all
    config::SendingRates rates;
    config::ClientPrefixes client_prefixes;
    config::Self self;  ///< which exchangers are this host
    GeneralSettings general;

    /// The local domain of that name, which may be a further one (`alias_domain`), or nullptr.
    [[nodiscard]] const LocalDomain* local_domain(std::string_view domain) const;

    /// `address`, with the primary domain where it has none.
    [[nodiscard]] Address qualified(Address address) const;
};

/// An alias, and whose file it stands in.
struct AliasMatch {
    std::shared_ptr<const Alias> alias;  ///< nullptr: none
    bool common = false;                 ///< from the file of `*`
    std::string name;                    ///< what it was found by: the local part, or that without its detail
    std::string unclear;                 ///< why nobody can tell now whether there is one; empty: it is clear
};

/// The alias of a folded local part of `domain`: first from the domain's own file, then from the common one.
/// In each the whole local part comes before the part in front of the delimiter, and a name without wildcards
/// before those with, of which the first one in the file counts. A file that cannot tell now ends the search,
/// since what stands in later ones would be none of its business.
[[nodiscard]] AliasMatch find_alias(const Tables& tables, const LocalDomain& domain, std::string_view local);

/// The redirect lines that hold for an address of a canonical domain, in their order: those that match it, in
/// its own domain also without its detail. `written_domain` is the name of that domain that was used, which
/// may be a further one: lines for either name match. The pointers live as long as the tables.
[[nodiscard]] std::vector<const Redirect*> redirects_of(const Tables& tables, const Address& address,
                                                        std::string_view written_domain);

/// Whether there is an alias of exactly this name for the domain, in either file. Temporary error if nobody
/// can tell now.
[[nodiscard]] Result<bool> has_alias(const Tables& tables, const LocalDomain& domain, std::string_view name);

/// The part of a local part in front of its delimiter, or nothing if there is none.
[[nodiscard]] std::optional<std::string> without_detail(const Tables& tables, std::string_view local);

}  // namespace postrider::router
