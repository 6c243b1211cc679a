#include "router/policy_item.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "libcommon/config/values.h"
#include "libcommon/mail/domain.h"

namespace postrider::router {

namespace {

using config::Directive;
using config::Errors;
using config::Option;
using config::Word;

constexpr std::array<std::string_view, kPolicyKinds> kKindNames{"net",    "helo", "login", "port",
                                                                "sender", "rcpt", "rdns"};

constexpr std::uint8_t bit_of(PolicyKind kind) {
    return static_cast<std::uint8_t>(1U << static_cast<unsigned>(kind));
}
constexpr std::uint8_t kNet = bit_of(PolicyKind::Net);
constexpr std::uint8_t kHelo = bit_of(PolicyKind::Helo);
constexpr std::uint8_t kAuth = bit_of(PolicyKind::Auth);
constexpr std::uint8_t kPort = bit_of(PolicyKind::Port);
constexpr std::uint8_t kSender = bit_of(PolicyKind::Sender);
constexpr std::uint8_t kRcpt = bit_of(PolicyKind::Recipient);
constexpr std::uint8_t kRdns = bit_of(PolicyKind::Rdns);
constexpr std::uint8_t kVerbs = kNet | kHelo | kAuth | kSender | kRcpt | kRdns;

/// In the order of the enumerators.
constexpr std::array<PolicyItemRow, kPolicyItems> kItems{{
    {PolicyItem::Accept, "accept", true, false, true, kVerbs},
    {PolicyItem::Reject, "reject", true, false, false, kVerbs},
    {PolicyItem::Defer, "defer", true, false, false, kVerbs},
    {PolicyItem::Quarantine, "quarantine", true, false, true, kVerbs},
    {PolicyItem::Discard, "discard", true, false, true, kVerbs},
    {PolicyItem::Relay, "relay", true, false, true, kNet | kAuth | kRcpt | kRdns},
    {PolicyItem::Local, "local", true, false, true, kRcpt},
    {PolicyItem::Vrfy, "vrfy", true, false, true, kNet | kAuth},
    {PolicyItem::Expn, "expn", true, false, true, kNet | kAuth},
    {PolicyItem::Etrn, "etrn", true, true, true, kNet | kAuth},
    {PolicyItem::MaxSize, "maxsize", false, true, false, kNet | kAuth | kPort | kRcpt},
    {PolicyItem::Conns, "conns", false, true, false, kNet},
    {PolicyItem::MaxRcpt, "maxrcpt", false, true, false, kNet | kPort},
    {PolicyItem::MaxRcpt0, "maxrcpt0", false, true, false, kNet | kPort},
    {PolicyItem::Tls, "tls", false, true, false, kNet | kPort | kSender},
    {PolicyItem::AuthReq, "authreq", true, false, false, kNet | kPort | kSender},
    {PolicyItem::Strict, "strict", true, false, false, kHelo | kPort},
    {PolicyItem::Fqdn, "fqdn", true, false, false, kHelo | kPort},
    {PolicyItem::Quirks, "quirks", false, true, false, kHelo | kNet | kPort},
    {PolicyItem::Tarpit, "tarpit", false, true, false, kNet},
    {PolicyItem::SendDns, "senddns", false, true, false, kNet | kSender},
    {PolicyItem::RcptDns, "rcptdns", false, true, false, kNet},
    {PolicyItem::Dnsbl, "dnsbl", false, true, false, kNet | kRcpt},
    {PolicyItem::Dnswl, "dnswl", false, true, false, kNet},
    {PolicyItem::At, "at", false, true, false, kNet},
    {PolicyItem::Mx, "mx", false, true, true, kRcpt},
    {PolicyItem::Trust, "trust", false, true, true, kNet | kAuth},
    {PolicyItem::NoRelay, "norelay", true, false, false, kSender},
    {PolicyItem::Verify, "verify", false, true, false, kRcpt},
    {PolicyItem::Rate, "rate", false, true, false, kNet | kAuth | kSender},
    {PolicyItem::RcptRate, "rcptrate", false, true, false, kNet | kAuth | kSender},
    {PolicyItem::ConnRate, "connrate", false, true, false, kNet},
    {PolicyItem::Over, "over", false, true, false, kNet | kAuth | kSender},
}};

static_assert([] {
    for (std::size_t i = 0; i < kItems.size(); ++i) {
        if (static_cast<std::size_t>(kItems[i].item) != i) return false;
    }
    return true;
}());

const PolicyItemRow* find_item(std::string_view name) {
    const auto found = std::find_if(kItems.begin(), kItems.end(),
                                    [&](const PolicyItemRow& row) { return row.name == name; });
    return found == kItems.end() ? nullptr : &*found;
}

/// A number of things, at least one: zero would mean "nothing set" to smtpd.
Result<std::uint32_t> parse_positive(std::string_view text) {
    const Result<std::uint64_t> value = config::parse_count(text);
    if (!value) return failure(value.error());
    if (*value == 0 || *value > std::numeric_limits<std::uint32_t>::max()) {
        return permanent(
            fmt::format("{} is not from 1 to {}", text, std::numeric_limits<std::uint32_t>::max()));
    }
    return static_cast<std::uint32_t>(*value);
}

Result<std::uint64_t> parse_message_size(std::string_view text) {
    Result<std::uint64_t> value = config::parse_size(text);
    if (value && *value == 0) return permanent("a size of zero would refuse every message");
    return value;
}

Result<TlsDemand> parse_tls(std::string_view text) {
    if (text == "require") return TlsDemand::Require;
    if (text == "offer") return TlsDemand::Offer;
    if (text == "off") return TlsDemand::Off;
    return permanent(fmt::format("\"{}\" is not one of require, offer, off", text));
}

/// One of the words of an option, each of which stands for a value.
template <typename T>
struct Choice {
    std::string_view name;
    T value;
};

template <typename T, std::size_t N>
Result<T> parse_choice(std::string_view text, const Choice<T> (&choices)[N]) {
    std::vector<std::string_view> names;
    for (const Choice<T>& choice : choices) {
        if (choice.name == text) return choice.value;
        names.push_back(choice.name);
    }
    return permanent(fmt::format("\"{}\" is not one of {}", text, fmt::join(names, ", ")));
}

constexpr Choice<SenderDns> kSenderDns[] = {
    {"require", SenderDns::Require}, {"soft", SenderDns::Soft}, {"off", SenderDns::Off}};
constexpr Choice<bool> kRecipientDns[] = {{"require", true}, {"off", false}};
constexpr Choice<BlockStage> kBlockStages[] = {{"connect", BlockStage::Connect},
                                               {"rcpt", BlockStage::Recipient}};
constexpr Choice<MxRule> kMxRules[] = {
    {"backup", MxRule::Backup}, {"any", MxRule::Any}, {"off", MxRule::Off}};
Result<Trust> parse_trust(std::string_view text) {
    if (text == "rcpt") return Trust::Recipients;
    if (text == "all") return Trust::All;
    return permanent(fmt::format("\"{}\" is not one of rcpt, all", text));
}

Result<Over> parse_over(std::string_view text) {
    if (text == "defer") return Over::Defer;
    if (text == "reject") return Over::Reject;
    return permanent(fmt::format("\"{}\" is not one of defer, reject", text));
}

Result<bool> parse_verify(std::string_view text) {
    if (text == "on") return true;
    if (text == "off") return false;
    if (text == "callout") return permanent("verify=callout is not implemented yet");
    return permanent(fmt::format("\"{}\" is not one of on, off", text));
}

/// How much in how long; nothing at all is what a refusal is for.
Result<config::Rate> parse_positive_rate(std::string_view text) {
    Result<config::Rate> rate = config::parse_rate(text);
    if (rate && rate->count == 0) return permanent("a rate of zero allows nothing: say reject or defer");
    return rate;
}

struct QuirkName {
    std::string_view name;
    bool Quirks::*quirk;
};
constexpr std::array<QuirkName, 9> kQuirkNames{{{"sloppy", &Quirks::sloppy},
                                                {"noehlo", &Quirks::no_ehlo},
                                                {"nopipelining", &Quirks::no_pipelining},
                                                {"no8bit", &Quirks::no_8bit},
                                                {"nodsn", &Quirks::no_dsn},
                                                {"noetrn", &Quirks::no_etrn},
                                                {"nochunking", &Quirks::no_chunking},
                                                {"noauth", &Quirks::no_auth},
                                                {"oneline", &Quirks::oneline}}};

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& names) {
    const std::string_view best = config::nearest(word, names);
    return best.empty() ? std::string() : fmt::format("; did you mean \"{}\"?", best);
}

/// Calls `take` with each part of a list with commas; ends with the first error.
template <typename Take>
Result<void> for_each_part(std::string_view list, Take take) {
    while (true) {
        const std::size_t comma = list.find(',');
        Result<void> taken = take(list.substr(0, comma));
        if (!taken || comma == std::string_view::npos) return taken;
        list.remove_prefix(comma + 1);
    }
}

Result<Quirks> parse_quirks(std::string_view text) {
    Quirks quirks;
    const Result<void> parsed = for_each_part(text, [&](std::string_view name) -> Result<void> {
        for (const QuirkName& known : kQuirkNames) {
            if (known.name != name) continue;
            quirks.*known.quirk = true;
            return {};
        }
        std::vector<std::string_view> names;
        for (const QuirkName& known : kQuirkNames)
            names.push_back(known.name);
        return permanent(fmt::format("\"{}\" is not one of {}{}", name, fmt::join(names, ", "),
                                     did_you_mean(name, names)));
    });
    if (!parsed) return failure(parsed.error());
    return quirks;
}

Result<std::vector<std::string>> parse_etrn_domains(std::string_view text) {
    std::vector<std::string> domains;
    const Result<void> parsed = for_each_part(text, [&](std::string_view name) -> Result<void> {
        const bool below = name.starts_with('.');
        const Result<mail::Domain> domain = mail::parse_domain(name.substr(below ? 1 : 0));
        if (!domain) return failure(domain.error());
        if (domain->is_literal()) return permanent("an address literal is no domain");
        domains.push_back((below ? "." : "") + domain->name());
        return {};
    });
    if (!parsed) return failure(parsed.error());
    return domains;
}

/// A duration of a tarpit: at most a minute more than an hour is meant by nobody, and 32 bits hold it.
Result<std::uint32_t> parse_delay(std::string_view text) {
    constexpr Milliseconds kLongest = std::chrono::hours(1);
    const Result<Milliseconds> value = config::parse_duration(text);
    if (!value) return failure(value.error());
    if (value->count() == 0 || *value > kLongest)
        return permanent("the delays of a tarpit are from 1s to 1h");
    return static_cast<std::uint32_t>(value->count());
}

/// `1s+100%<4s`
Result<TarpitSteps> parse_tarpit(std::string_view text) {
    constexpr std::uint64_t kMostGrowth = 10'000;
    const std::size_t plus = text.find('+');
    const std::size_t percent = text.find("%<");
    if (plus == std::string_view::npos || percent == std::string_view::npos || percent < plus) {
        return permanent(fmt::format("\"{}\" is not of the form 1s+100%<4s", text));
    }
    const Result<std::uint32_t> first = parse_delay(text.substr(0, plus));
    if (!first) return failure(first.error());
    const Result<std::uint64_t> growth = config::parse_count(text.substr(plus + 1, percent - plus - 1));
    if (!growth) return failure(growth.error());
    const Result<std::uint32_t> most = parse_delay(text.substr(percent + 2));
    if (!most) return failure(most.error());
    if (*growth > kMostGrowth) return permanent("a tarpit grows by at most 10000%");
    if (*most < *first) return permanent("the longest delay of a tarpit is shorter than the first one");
    return TarpitSteps{*first, static_cast<std::uint32_t>(*growth), *most};
}

/// Parses the items of one line.
class ItemParser {
  public:
    ItemParser(const Directive& line, Errors& errors) : line_(line), errors_(errors) {}

    ParsedItems run(std::size_t first_word) {
        result_.rule.position = line_.position;
        for (std::size_t i = first_word; i < line_.words.size(); ++i) {
            const Word& word = line_.words[i];
            if (word.quoted) {
                take_text(word);
            } else if (word.text == "use") {
                if (++i == line_.words.size()) {
                    errors_.add(word.position, "use without the name of a class");
                } else {
                    result_.uses.push_back(line_.words[i]);
                }
            } else {
                take_flag(word);
            }
        }
        for (const Option& option : line_.options)
            take_option(option);
        finish_reply();
        return std::move(result_);
    }

  private:
    void take_text(const Word& word) {
        if (text_ != nullptr) errors_.add(word.position, "a line has one text of a reply");
        text_ = &word;
    }

    void take_flag(const Word& word) {
        const PolicyItemRow* row = find_item(word.text);
        if (row == nullptr) {
            errors_.add(word.position,
                        fmt::format("unknown item \"{}\"{} (the text of a reply stands in quotes)", word.text,
                                    did_you_mean(word.text, names())));
        } else if (!row->flag) {
            errors_.add(word.position, fmt::format("{} needs a value: {}=", row->name, row->name));
        } else if (result_.rule.items.has(row->item)) {
            errors_.add(word.position, fmt::format("{} is there already", row->name));
        } else {
            result_.rule.items.add(row->item);
            set_flag(row->item, word);
        }
    }

    void set_flag(PolicyItem item, const Word& word) {
        PolicyRule& rule = result_.rule;
        switch (item) {
            case PolicyItem::Accept:
                return set_verb(PolicyVerb::Accept, word);
            case PolicyItem::Reject:
                return set_verb(PolicyVerb::Reject, word);
            case PolicyItem::Defer:
                return set_verb(PolicyVerb::Defer, word);
            case PolicyItem::Quarantine:
                return set_verb(PolicyVerb::Quarantine, word);
            case PolicyItem::Discard:
                return set_verb(PolicyVerb::Discard, word);
            case PolicyItem::Relay:
                rule.grants.relay = true;
                return;
            case PolicyItem::Local:
                rule.grants.local = true;
                return;
            case PolicyItem::Vrfy:
                rule.grants.vrfy = true;
                return;
            case PolicyItem::Expn:
                rule.grants.expn = true;
                return;
            case PolicyItem::Etrn:
                rule.grants.etrn = true;
                return;
            case PolicyItem::AuthReq:
                rule.tuning.require_auth = true;
                return;
            case PolicyItem::Strict:
                rule.tuning.strict = true;
                return;
            case PolicyItem::Fqdn:
                rule.tuning.fully_qualified = true;
                return;
            case PolicyItem::NoRelay:
                rule.tuning.no_relay = true;
                return;
            default:  // the others are no flags
                return;
        }
    }

    void set_verb(PolicyVerb verb, const Word& word) {
        if (result_.rule.verb != PolicyVerb::None) {
            errors_.add(word.position, "a line has one of accept, reject, defer, quarantine and discard");
        }
        result_.rule.verb = verb;
    }

    void take_option(const Option& option) {
        const PolicyItemRow* row = find_item(option.key);
        if (row == nullptr || !row->option) {
            errors_.add(option.position, fmt::format("unknown option \"{}=\"{}", option.key,
                                                     did_you_mean(option.key, names())));
            return;
        }
        result_.rule.items.add(row->item);
        const Result<void> set = set_option(row->item, option.value);
        if (!set) errors_.add(option.position, set.error().text);
    }

    Result<void> set_option(PolicyItem item, const std::string& value) {
        PolicyTuning& tuning = result_.rule.tuning;
        switch (item) {
            case PolicyItem::Etrn:
                return store(parse_etrn_domains(value), result_.rule.grants.etrn_domains);
            case PolicyItem::MaxSize:
                return store(parse_message_size(value), tuning.max_message_size);
            case PolicyItem::Conns:
                return store(parse_positive(value), tuning.max_connections);
            case PolicyItem::MaxRcpt:
                return store(parse_positive(value), tuning.max_recipients);
            case PolicyItem::MaxRcpt0:
                return store(parse_positive(value), tuning.max_null_recipients);
            case PolicyItem::Tls:
                return store(parse_tls(value), tuning.tls);
            case PolicyItem::Quirks:
                return store(parse_quirks(value), tuning.quirks);
            case PolicyItem::Tarpit:
                return store(parse_tarpit(value), tuning.tarpit);
            case PolicyItem::SendDns:
                return store(parse_choice(value, kSenderDns), tuning.sender_dns);
            case PolicyItem::RcptDns:
                return store(parse_choice(value, kRecipientDns), tuning.recipient_dns);
            case PolicyItem::Dnsbl:
                return set_block_lists(value);
            case PolicyItem::Dnswl:
                return store(DnsList::parse_all(value), tuning.allow_lists);
            case PolicyItem::At:
                return store(parse_choice(value, kBlockStages), tuning.block_stage);
            case PolicyItem::Mx:
                return store(parse_choice(value, kMxRules), result_.rule.grants.mx);
            case PolicyItem::Trust:
                return store(parse_trust(value), result_.rule.grants.trust);
            case PolicyItem::Verify:
                return store(parse_verify(value), tuning.verify);
            case PolicyItem::Rate:
                return store(parse_positive_rate(value), tuning.message_rate);
            case PolicyItem::RcptRate:
                return store(parse_positive_rate(value), tuning.recipient_rate);
            case PolicyItem::ConnRate:
                return store(parse_positive_rate(value), tuning.connection_rate);
            case PolicyItem::Over:
                return store(parse_over(value), tuning.over);
            default:  // the others have no value
                return {};
        }
    }

    /// The same name means the lists themselves in a line for clients, and whether they count in one for
    /// recipients. Whether it is in the right kind of line is checked later, because a class has no kind.
    Result<void> set_block_lists(const std::string& value) {
        PolicyTuning& tuning = result_.rule.tuning;
        if (value == "use" || value == "ignore") {
            tuning.uses_block_lists = value == "use";
            return {};
        }
        if (value == "off") {
            tuning.block_lists.emplace();
            return {};
        }
        return store(DnsList::parse_all(value), tuning.block_lists);
    }

    template <typename T, typename U>
    static Result<void> store(Result<T> value, U& out) {
        if (!value) return failure(std::move(value).error());
        out = std::move(*value);
        return {};
    }

    void finish_reply() {
        if (text_ == nullptr) return;
        const PolicyVerb verb = result_.rule.verb;
        if (verb < PolicyVerb::Quarantine) {
            errors_.add(text_->position,
                        "a text belongs to a reject, a defer or a quarantine of the same line");
            return;
        }
        Result<ReplyTemplate> reply = ReplyTemplate::parse(text_->text, verb != PolicyVerb::Defer);
        if (reply && verb == PolicyVerb::Quarantine && reply->code != 0) {
            errors_.add(text_->position, "the reason of a quarantine has no reply code: nobody is refused");
        } else if (reply) {
            result_.rule.reply = std::move(*reply);
        } else {
            errors_.add(text_->position, reply.error().text);
        }
    }

    static std::vector<std::string_view> names() {
        std::vector<std::string_view> names{"use"};
        for (const PolicyItemRow& row : kItems)
            names.push_back(row.name);
        return names;
    }

    const Directive& line_;
    Errors& errors_;
    ParsedItems result_;
    const Word* text_ = nullptr;
};

template <typename T>
void fill(std::optional<T>& value, const std::optional<T>& less_specific) {
    if (!value) value = less_specific;
}

}  // namespace

std::string_view kind_name(PolicyKind kind) {
    return kKindNames[static_cast<std::size_t>(kind)];
}

std::optional<PolicyKind> parse_policy_kind(std::string_view name) {
    if (name == "auth") return PolicyKind::Auth;  // as lines about a login may begin with auth, too
    const auto found = std::find(kKindNames.begin(), kKindNames.end(), name);
    if (found == kKindNames.end()) return std::nullopt;
    return static_cast<PolicyKind>(found - kKindNames.begin());
}

const PolicyItemRow& policy_item_row(PolicyItem item) {
    return kItems[static_cast<std::size_t>(item)];
}

void PolicyGrants::add(const PolicyGrants& others) {
    relay |= others.relay;
    local |= others.local;
    trust = std::max(trust, others.trust);
    vrfy |= others.vrfy;
    expn |= others.expn;
    etrn |= others.etrn;
    etrn_domains.insert(etrn_domains.end(), others.etrn_domains.begin(), others.etrn_domains.end());
    if (!mx) mx = others.mx;
}

void PolicyTuning::fill_from(const PolicyTuning& less_specific) {
    fill(max_message_size, less_specific.max_message_size);
    fill(max_connections, less_specific.max_connections);
    fill(max_recipients, less_specific.max_recipients);
    fill(max_null_recipients, less_specific.max_null_recipients);
    fill(tls, less_specific.tls);
    fill(quirks, less_specific.quirks);
    fill(tarpit, less_specific.tarpit);
    fill(sender_dns, less_specific.sender_dns);
    fill(recipient_dns, less_specific.recipient_dns);
    fill(block_lists, less_specific.block_lists);
    fill(allow_lists, less_specific.allow_lists);
    fill(block_stage, less_specific.block_stage);
    fill(uses_block_lists, less_specific.uses_block_lists);
    fill(message_rate, less_specific.message_rate);
    fill(recipient_rate, less_specific.recipient_rate);
    fill(connection_rate, less_specific.connection_rate);
    fill(over, less_specific.over);
    fill(verify, less_specific.verify);
    no_relay |= less_specific.no_relay;
    require_auth |= less_specific.require_auth;
    strict |= less_specific.strict;
    fully_qualified |= less_specific.fully_qualified;
}

void PolicyRule::add_class(const PolicyRule& used) {
    if (used.verb > verb) {
        verb = used.verb;
        reply = used.reply;
    }
    grants.add(used.grants);
    tuning.fill_from(used.tuning);
    items.add(used.items);
}

Result<std::vector<DnsList>> DnsList::parse_all(std::string_view text) {
    std::vector<DnsList> lists;
    while (true) {
        const std::size_t colon = text.find(':');
        const std::string_view one = text.substr(0, colon);
        const std::size_t slash = one.find('/');
        DnsList list;
        const Result<mail::Domain> zone = mail::parse_domain(one.substr(0, slash));
        if (!zone) return failure(zone.error());
        if (zone->is_literal()) return permanent("an address literal is no zone");
        list.zone = zone->name();
        if (slash != std::string_view::npos) {
            const Result<std::uint64_t> mask = config::parse_count(one.substr(slash + 1));
            if (!mask || *mask == 0 || *mask > std::numeric_limits<std::uint8_t>::max()) {
                return permanent("the mask of a list is a number from 1 to 255");
            }
            list.mask = static_cast<std::uint8_t>(*mask);
        }
        lists.push_back(std::move(list));
        if (colon == std::string_view::npos) return lists;
        text.remove_prefix(colon + 1);
    }
}

ParsedItems parse_policy_items(const Directive& line, std::size_t first_word, Errors& errors) {
    return ItemParser(line, errors).run(first_word);
}

}  // namespace postrider::router
