#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/config/language.h"
#include "libcommon/config/values.h"
#include "router/reply_template.h"

/// What a line of the policy table says of whatever its key matches (postrider-policy(5)).
namespace postrider::router {

/// What the key of a line is compared with.
enum class PolicyKind : std::uint8_t { Net, Helo, Auth, Port, Sender, Recipient, Rdns };
inline constexpr std::size_t kPolicyKinds = 7;

/// "net", "helo", "login", "port", "sender", "rcpt", "rdns".
[[nodiscard]] std::string_view kind_name(PolicyKind kind);
[[nodiscard]] std::optional<PolicyKind> parse_policy_kind(std::string_view name);

/// The words that may stand behind a key.
enum class PolicyItem : std::uint8_t {
    Accept,
    Reject,
    Defer,
    Quarantine,
    Discard,
    Relay,
    Local,
    Vrfy,
    Expn,
    Etrn,
    MaxSize,
    Conns,
    MaxRcpt,
    MaxRcpt0,
    Tls,
    AuthReq,
    Strict,
    Fqdn,
    Quirks,
    Tarpit,
    SendDns,
    RcptDns,
    Dnsbl,
    Dnswl,
    At,
    Mx,
    Trust,
    NoRelay,
    Verify,
    Rate,
    RcptRate,
    ConnRate,
    Over,
};
inline constexpr std::size_t kPolicyItems = 33;

/// A set of items.
class PolicyItems {
  public:
    void add(PolicyItem item) { bits_ |= bit(item); }
    void add(PolicyItems others) { bits_ |= others.bits_; }
    [[nodiscard]] bool has(PolicyItem item) const { return (bits_ & bit(item)) != 0; }
    [[nodiscard]] bool empty() const { return bits_ == 0; }

  private:
    static std::uint64_t bit(PolicyItem item) { return std::uint64_t{1} << static_cast<unsigned>(item); }
    std::uint64_t bits_ = 0;
};

/// How an item is written, and in which lines.
struct PolicyItemRow {
    PolicyItem item = PolicyItem::Accept;
    std::string_view name;
    bool flag = false;    ///< it can stand alone
    bool option = false;  ///< it can have a value: `name=value`
    bool grant = false;   ///< it gives a right, so a `default` line cannot have it
    std::uint8_t kinds = 0;

    [[nodiscard]] bool holds_for(PolicyKind kind) const {
        return (kinds & (1U << static_cast<unsigned>(kind))) != 0;
    }
};

[[nodiscard]] const PolicyItemRow& policy_item_row(PolicyItem item);

/// In the order in which they win: of a line and its classes the strictest one holds; but what one of them
/// keeps back no other throws away.
enum class PolicyVerb : std::uint8_t { None, Accept, Discard, Quarantine, Defer, Reject };

/// What is not asked about a client any more. In the order in which they win.
enum class Trust : std::uint8_t {
    None,
    Recipients,  ///< what `rcpt` lines refuse
    All          ///< what `sender` lines refuse or demand, too
};

/// When the DNS makes this host a way to a domain: if it is one of its exchangers, or only if there is also
/// one that is strictly better.
enum class MxRule : std::uint8_t { Off, Backup, Any };

/// Rights. They add up: nothing that a line grants is taken back by another one.
struct PolicyGrants {
    bool relay = false;
    bool local = false;
    Trust trust = Trust::None;  ///< all but None include `relay`
    bool vrfy = false;
    bool expn = false;
    bool etrn = false;                      ///< for every domain
    std::vector<std::string> etrn_domains;  ///< for these
    std::optional<MxRule> mx;               ///< the first one that is there holds

    void add(const PolicyGrants& others);
    /// Whether they let a client send to every domain.
    [[nodiscard]] bool relays() const { return relay || trust != Trust::None; }
};

enum class TlsDemand : std::uint8_t { Off, Offer, Require };

/// What is answered to more than a rate allows.
enum class Over : std::uint8_t { Defer, Reject };

/// What a client with faults is spared.
struct Quirks {
    bool sloppy = false;
    bool oneline = false;
    bool no_ehlo = false;
    bool no_pipelining = false;
    bool no_8bit = false;
    bool no_dsn = false;
    bool no_etrn = false;
    bool no_chunking = false;
    bool no_auth = false;
};

/// How refusals are delayed: `FIRST+PERCENT%<MOST`.
struct TarpitSteps {
    std::uint32_t first_ms = 0;
    std::uint32_t growth_percent = 0;
    std::uint32_t most_ms = 0;
};

/// How much the DNS must say of a sender's domain.
enum class SenderDns : std::uint8_t {
    Off,
    Soft,     ///< it exists
    Require,  ///< it can get mail
};

/// When clients on a block list are refused.
enum class BlockStage : std::uint8_t { Connect, Recipient };

/// A list of addresses in the DNS (RFC 5782).
struct DnsList {
    std::string zone;
    std::uint8_t mask = 0;  ///< an answer counts if its last octet has one of these bits; 0: any answer

    /// Parses `zone[/mask][:zone…]`. Permanent error for anything else.
    [[nodiscard]] static Result<std::vector<DnsList>> parse_all(std::string_view text);

    friend bool operator==(const DnsList&, const DnsList&) = default;
};

/// Everything that changes how a session goes, but gives no right.
struct PolicyTuning {
    std::optional<std::uint64_t> max_message_size;
    std::optional<std::uint32_t> max_connections;
    std::optional<std::uint32_t> max_recipients;
    std::optional<std::uint32_t> max_null_recipients;
    std::optional<TlsDemand> tls;
    std::optional<Quirks> quirks;
    std::optional<TarpitSteps> tarpit;
    std::optional<SenderDns> sender_dns;
    std::optional<bool> recipient_dns;
    std::optional<std::vector<DnsList>> block_lists;  ///< of clients; empty: none
    std::optional<std::vector<DnsList>> allow_lists;  ///< who is on one of these is on no block list
    std::optional<BlockStage> block_stage;
    std::optional<bool> uses_block_lists;  ///< of recipients
    std::optional<config::Rate> message_rate;
    std::optional<config::Rate> recipient_rate;
    std::optional<config::Rate> connection_rate;
    std::optional<Over> over;
    std::optional<bool> verify;  ///< whether a local recipient must exist
    bool no_relay = false;       ///< the client's right to relay does not count
    bool require_auth = false;
    bool strict = false;
    bool fully_qualified = false;

    /// Takes from `less_specific` what is not set here.
    void fill_from(const PolicyTuning& less_specific);
};

/// One line, with its classes.
struct PolicyRule {
    PolicyVerb verb = PolicyVerb::None;
    ReplyTemplate reply;  ///< of Reject and Defer; of Quarantine, its reason
    PolicyGrants grants;
    PolicyTuning tuning;
    PolicyItems items;          ///< all that it has, from wherever
    bool whole_domain = false;  ///< the key of a `sender` line is a domain, so that its rates count domains
    config::Position position;

    [[nodiscard]] bool refuses() const { return verb >= PolicyVerb::Defer; }

    /// Takes from a class what is not set here.
    void add_class(const PolicyRule& used);
};

/// A line before its classes are looked up.
struct ParsedItems {
    PolicyRule rule;
    std::vector<config::Word> uses;  ///< the names of its classes
};

/// Parses the words of `line` from the index `first_word` on, and its options. Errors go to `errors`, each
/// with its position; what has none is returned all the same.
[[nodiscard]] ParsedItems parse_policy_items(const config::Directive& line, std::size_t first_word,
                                             config::Errors& errors);

}  // namespace postrider::router
