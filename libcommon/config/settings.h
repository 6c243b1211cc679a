#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/result.h"
#include "libcommon/config/file_watch.h"
#include "libcommon/config/language.h"
#include "libcommon/config/limits.h"
#include "libcommon/config/network.h"
#include "libcommon/config/report_templates.h"
#include "libcommon/config/values.h"
#include "libcommon/log/log.h"

/// The configuration as the daemons use it: general settings as typed values, tables as directives.
namespace postrider::config {

/// What is spoken on a listener.
enum class ListenerKind { Smtp, Submission, Lmtp, Local };

/// Whether a listener encrypts. Without a certificate nothing is offered, and Require refuses all mail.
enum class ListenerTls {
    Offer,     ///< STARTTLS
    Require,   ///< STARTTLS, and no mail without it
    Implicit,  ///< from the first octet
    Off
};

/// Where a listener lets clients log in.
enum class ListenerAuth {
    Encrypted,  ///< only under TLS
    Always,     ///< also in clear text: for a network that one trusts with passwords
    Off
};

/// One `listen` line.
struct Listener {
    IpAddress address;       ///< of every kind but Local
    std::uint16_t port = 0;  ///< of every kind but Local
    ListenerKind kind = ListenerKind::Smtp;
    bool strict = false;  ///< refuse what RFC 5321 forbids even where being liberal would do no harm
    ListenerTls tls = ListenerTls::Offer;         ///< of Local: Off
    bool asks_for_client_certificate = false;     ///< under TLS; a client need not have one
    ListenerAuth auth = ListenerAuth::Encrypted;  ///< of Smtp: Off unless the line says otherwise
    std::string path;                             ///< of Local: the socket's absolute path
    Position position;

    /// "192.0.2.1:25" or the path.
    [[nodiscard]] std::string endpoint_text() const;
};

/// One `tls_certificate` line.
struct TlsCertificate {
    std::string chain;  ///< absolute path
    std::string key;    ///< absolute path
    std::string name;   ///< for clients that ask for it, lower case, perhaps with `*.` in front; empty: those
                        ///< in the certificate
    Position chain_position;
    Position key_position;
};

/// How much clients and accounts may do in a period; empty: as much as they like.
struct SendingRates {
    // Of one login.
    std::optional<Rate> account_messages;
    std::optional<Rate> account_recipients;
    // Of one network whose clients have neither logged in nor the right to relay.
    std::optional<Rate> client_connections = Rate{60, std::chrono::minutes(1)};
    std::optional<Rate> client_messages = Rate{120, std::chrono::minutes(1)};
    std::optional<Rate> client_recipients = Rate{600, std::chrono::minutes(1)};
};

/// Which directive sets which rate.
struct SendingRateRow {
    std::string_view directive;
    std::optional<Rate> SendingRates::*rate;
};
inline constexpr std::array<SendingRateRow, 5> kSendingRates = {{
    {"account_message_rate", &SendingRates::account_messages},
    {"account_recipient_rate", &SendingRates::account_recipients},
    {"client_connection_rate", &SendingRates::client_connections},
    {"client_message_rate", &SendingRates::client_messages},
    {"client_recipient_rate", &SendingRates::client_recipients},
}};

/// Versions of TLS.
enum class TlsVersion { V1_2, V1_3 };

/// How clients log in.
enum class AuthKind {
    Pam,         ///< the system's PAM modules
    PasswdFile,  ///< a file of users and password hashes
    Dovecot      ///< the authentication socket of a Dovecot
};

/// One `auth` line; an unknown user of one method is looked for in the next.
struct AuthMethod {
    AuthKind kind = AuthKind::Pam;
    std::string service;  ///< of Pam: the name of the service, a file in /etc/pam.d
    std::string path;     ///< of PasswdFile and Dovecot: the file or the socket, absolute
    Position position;
};

/// The user whose rights a daemon keeps after its start as root.
struct DaemonUser {
    std::string daemon;  ///< the executable: "smtpd", "router", "queue-manager", "remote-delivery", "authd"
    std::string name;    ///< a name of the system's user database, or a number
    Position position;
};

/// The ids to change to.
struct UserIds {
    uid_t uid = 0;
    gid_t gid = 0;
};

/// Looks a user up. A number needs no entry in the user database and means this uid and a gid of the same
/// number. Permanent error for an unknown name, Temporary when the database does not answer.
[[nodiscard]] Result<UserIds> resolve_user(const std::string& name);

/// Looks a group up, by name or number; errors as of resolve_user().
[[nodiscard]] Result<gid_t> resolve_group(const std::string& name);

using LogFormat = log::Format;
using LogLevel = log::Level;

/// Whether the folder is synced with each commit: Auto decides by the file system.
enum class DirectorySync { Auto, Yes, No };

/// Which addresses redirect lines look at.
enum class RedirectScope { Local, Any };

/// Who may have mail sent with ETRN: nobody; clients whose policy grants it; or these, and every host that
/// the mail goes to.
enum class EtrnAccess { Off, Granted, Exchangers };

/// What of the original message a failure DSN returns when the sender did not say (RFC 3461, RET).
enum class DsnReturn { Headers, Full };

/// Who gets reports: all senders, or only those that a stranger cannot have made up.
enum class DsnOnlyTo { Any, Local };

/// Values of double_bounce_to that are no addresses.
inline constexpr std::string_view kKeepDoubleBounces = "off";
inline constexpr std::string_view kDiscardDoubleBounces = "discard";

/// Everything that the configuration says. All paths are absolute.
struct Settings {
    std::string config_file;
    std::string hostname;  ///< lower case, with at least one dot
    std::vector<Listener> listeners;
    std::string spool_dir;
    std::string run_dir;
    std::string state_dir;
    std::vector<DaemonUser> users;  ///< one for each daemon that changes its user
    std::vector<AuthMethod> auth;   ///< in the order in which they are tried; empty: nobody logs in
    bool auth_on_25 = false;        ///< what Listener::auth of Smtp is where the line does not say
    Rate auth_failures_per_client{20, std::chrono::hours(1)};
    Rate auth_failures_per_account{10, std::chrono::hours(1)};
    std::vector<Endpoint> resolvers;        ///< never empty
    std::vector<IpAddress> self_addresses;  ///< as configured; empty: the addresses of the interfaces
    std::string recipient_delimiter;        ///< one character, or empty for none
    std::string forward_file;               ///< of system users, "~/…"; empty: none
    bool forward_file_overrides_self = true;
    FreeFloor min_free_space;
    FreeFloor min_free_inodes;
    DirectorySync queue_directory_sync = DirectorySync::Auto;
    std::string queue_readers;  ///< a group, by name or number; empty: none
    DsnReturn dsn_return = DsnReturn::Headers;
    DsnOnlyTo dsn_only_to = DsnOnlyTo::Any;
    Milliseconds delay_warning{std::chrono::hours(4)};    ///< 0: nobody is told of delays
    Milliseconds dsn_aggregate{std::chrono::minutes(1)};  ///< how long failures of a message are gathered
    std::string dsn_templates;                            ///< absolute path of a folder; empty: none
    ReportTemplates report_templates;                     ///< of that folder
    std::vector<TlsCertificate> tls_certificates;         ///< empty: no TLS
    TlsVersion tls_min = TlsVersion::V1_2;
    std::string tls_ciphers;  ///< of TLS 1.2; empty: those that libcommon/tls has
    bool tls_session_tickets = true;
    std::string tls_client_ca;           ///< absolute path; empty: no client certificate is believed
    std::vector<std::string> help_text;  ///< lines of the reply to HELP
    bool received_hide_client = false;   ///< of clients that have logged in
    std::string reject_footer;           ///< the last line of every permanent refusal; empty: none
    std::string double_bounce_to;        ///< an address, a local part at `hostname`, or one of the two words
    std::vector<Milliseconds> retry;     ///< the last one repeats
    EtrnAccess etrn = EtrnAccess::Exchangers;
    bool over_quota_bounces = false;  ///< mail for a full mailbox fails at once; else it waits
    bool mxbackup_enabled = true;     ///< mail is accepted for the domains of mxbackup lines
    RedirectScope redirect_scope = RedirectScope::Local;  ///< of lines that do not say
    bool redirect_all_matches = true;  ///< false: only the first redirect line that matches counts
    bool alias_fallthrough = true;     ///< whether the alias file of `*` is for all domains
    bool lookup_may_pipe = false;      ///< whether what users=socket: says may name programs and files
    bool sender_login_check = true;    ///< on submission a sender must belong to the login
    SendingRates rates;
    LogFormat log_format = LogFormat::Text;
    LogLevel log_level = LogLevel::Info;
    Limits limits;  ///< all sizes, counts and time-outs, lifetime included

    /// The lines of all tables, in reading order, checked against the directive table; what they mean is the
    /// router's business. Paths in them (alias_file, users=, mailbox templates) are absolute.
    std::vector<Directive> tables;

    /// Every file read and every folder listed, for change detection (see file_watch.h).
    std::vector<std::string> files;

    /// Where each general setting was given; a name that is missing has its default.
    std::map<std::string, Position, std::less<>> origins;

    /// The table lines of one name, in reading order. The pointers live as long as `tables` is unchanged.
    [[nodiscard]] std::vector<const Directive*> table(std::string_view name) const;

    /// The position of a general setting; a default position when nobody gave it.
    [[nodiscard]] Position origin(std::string_view name) const;

    /// The user of a daemon, or nullptr for one that has none (local-delivery, postriderd).
    [[nodiscard]] const DaemonUser* user(std::string_view daemon) const;
};

/// Settings, or every error that prevents them.
struct LoadResult {
    std::optional<Settings> settings;  ///< set exactly when `errors` is empty
    std::optional<Settings> remains;   ///< set otherwise: what is left without the errors, in which further
                                       ///< ones may be looked for, and nothing else
    std::vector<std::string> errors;   ///< each "file:line:column: message"
    std::vector<std::string> files;    ///< every file read or tried, also after errors
    FileSet watch;                     ///< the state of `files` before they were read, and of resolv.conf

    /// The settings, or what remains of them.
    [[nodiscard]] const Settings& known() const { return settings ? *settings : *remains; }
};

/// What the defaults of a configuration take from the system. Tests put fixed values here.
struct Surroundings {
    FileSource* files = nullptr;             ///< not owned; outlives the call
    std::function<std::string()> host_name;  ///< the system's fully qualified name, or what it has
    std::string resolv_conf;                 ///< the file that names the resolvers, read through `files`
};

/// Reads the configuration `path` and all it includes. Never partial: with any error there are no settings.
/// It may look up the system's name (a DNS query) when `hostname` is not set.
[[nodiscard]] LoadResult load(const std::string& path);

/// As load(), with everything that would come from the system given.
[[nodiscard]] LoadResult load(const std::string& path, const Surroundings& surroundings);

/// The whole effective configuration, one line a value, `name value  # file:line` or `# default`, in the
/// order of the directive table; with `only`, the lines of that name alone.
[[nodiscard]] std::string render(const Settings& settings, std::string_view only = {});

}  // namespace postrider::config
