#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/router/table_fixture.h"

/// Invented configurations, and what each of them opens to strangers, in the plainest way and without
/// anything of the router.
namespace postrider::router::test {

/// `d`, `.d` or `*.d`, as it is written in a line.
struct DomainKey {
    std::string text;

    [[nodiscard]] std::string base() const {
        return text.starts_with("*.") ? text.substr(2) : text.starts_with('.') ? text.substr(1) : text;
    }
    [[nodiscard]] bool matches(const std::string& domain) const {
        const bool below = domain.ends_with("." + base());
        if (text.starts_with("*.")) return below || domain == base();
        return text.starts_with('.') ? below : domain == text;
    }
    /// The longest name says most; of equal ones `d` more than `.d`, and that more than `*.d`.
    [[nodiscard]] std::size_t weight() const {
        return base().size() * 3 + (text.starts_with("*.") ? 0 : text.starts_with('.') ? 1 : 2);
    }
};

/// What a `rcpt` line says, as far as it can open anything.
struct RecipientLine {
    std::string local;  ///< empty: of any local part
    DomainKey domain;   ///< empty: of any domain
    bool relays = false;
    bool by_mx = false;

    [[nodiscard]] bool matches(const std::string& name, const std::string& at) const {
        return (local.empty() || local == name) && (domain.text.empty() || domain.matches(at));
    }
    [[nodiscard]] std::size_t weight() const {
        constexpr std::size_t kMost = 10'000;
        if (!local.empty()) return domain.text.empty() ? kMost : 2 * kMost;
        return domain.weight();
    }
};

/// One configuration.
struct World {
    std::string lines;  ///< of postrider.conf
    std::map<std::string, std::string> files;
    std::string primary = "local.test";

    std::set<std::string> local;     ///< domains whose mail ends here
    std::vector<DomainKey> relayed;  ///< of relay_domain lines
    struct Backup {
        DomainKey domain;
        bool enabled = true;
    };
    std::vector<Backup> backups;
    std::vector<RecipientLine> recipients;
    bool default_by_mx = false;
    std::set<std::string> backup_by_dns;  ///< domains that have a better exchanger than us, and us

    /// Where its tables send mail that arrives for somebody here: addresses, programs and files.
    std::set<std::string> destinations;

    [[nodiscard]] bool is_local(const std::string& domain) const { return local.contains(domain); }

    /// Whether strangers may send mail for others to this address. `local_part` in lower case, `domain`
    /// canonical.
    [[nodiscard]] bool relays(const std::string& local_part, const std::string& domain) const {
        for (const DomainKey& key : relayed) {
            if (key.matches(domain)) return true;
        }
        const Backup* backup = nullptr;
        for (const Backup& one : backups) {
            if (!one.domain.matches(domain)) continue;
            if (backup == nullptr || one.domain.weight() > backup->domain.weight()) backup = &one;
        }
        if (backup != nullptr && backup->enabled) return true;
        const RecipientLine* line = nullptr;
        for (const RecipientLine& one : recipients) {
            if (!one.matches(local_part, domain)) continue;
            if (line == nullptr || one.weight() > line->weight()) line = &one;
        }
        const bool by_mx = line == nullptr ? default_by_mx : line->by_mx;
        return (line != nullptr && line->relays) || (by_mx && backup_by_dns.contains(domain));
    }

    /// Every domain that a line names.
    [[nodiscard]] std::vector<std::string> own_domains() const {
        std::set<std::string> found(local);
        for (const DomainKey& key : relayed)
            found.insert(key.base());
        for (const Backup& one : backups)
            found.insert(one.domain.base());
        for (const RecipientLine& one : recipients) {
            if (one.relays) found.insert(one.domain.base());
        }
        return {found.begin(), found.end()};
    }
};

/// The DNS that goes with the worlds: exchangers of some domains, and a user or two.
inline void fill_facts(FakeFacts& facts) {
    constexpr std::uint16_t kBetter = 10;
    constexpr std::uint16_t kOurs = 20;
    facts.set_addresses("p.hosts.test", {"192.0.2.20"});
    facts.set_addresses("mx2.test", {"192.0.2.10"});
    facts.set_addresses("r.hosts.test", {"192.0.2.60"});
    facts.set_mx("backed.test", {{kBetter, "p.hosts.test"}, {kOurs, "mx2.test"}});
    facts.set_mx("best.test", {{kBetter, "mx2.test"}});
    for (const char* foreign : {"hotmail.com", "remote.test", "othercompany.test"})
        facts.set_mx(foreign, {{kBetter, "r.hosts.test"}});
    facts.add("unknown", 3000);
}

/// Domains that no configuration opens.
inline const std::vector<std::string>& foreign_domains() {
    static const std::vector<std::string> domains = {"hotmail.com", "remote.test", "othercompany.test",
                                                     "evil.test",   "best.test",   "com"};
    return domains;
}

/// Makes one configuration out of a seed.
class WorldInventor {
  public:
    explicit WorldInventor(std::uint32_t seed) : random_(seed) {}

    World world() {
        world_.lines =
            "hostname mx2.test\nself_address 192.0.2.10\nlocal_domain local.test\n"
            "class customer relay maxsize=30M\nclass tune maxsize=3M\n"
            "net 10.0.0.0/8 use customer\n";
        world_.local = {"local.test"};
        world_.backup_by_dns = {"backed.test"};
        if (chance(5)) add("self_address 198.51.100.10");
        add_domains();
        add_policy();
        add_recipient_lines();
        add_routes();
        add_forwarding();
        return std::move(world_);
    }

  private:
    int number(int least, int most) { return std::uniform_int_distribution<int>(least, most)(random_); }
    bool chance(int of_ten) { return number(0, 9) < of_ten; }
    const std::string& one_of(const std::vector<std::string>& values) {
        return values[static_cast<std::size_t>(number(0, static_cast<int>(values.size()) - 1))];
    }
    void add(std::string_view line) { world_.lines += fmt::format("{}\n", line); }
    /// Adds some of these lines.
    void add_some(const std::vector<std::string>& lines) {
        for (const std::string& line : lines) {
            if (chance(4)) add(line);
        }
    }

    void add_domains() {
        for (const char* domain : {"second.test", "v.test", "primary.test", "branch.primary.test",
                                   "hostonly.test", "dyn.example", "xn--bcher-kva.example", "a.local.test"})
            add_domain(domain);
        if (chance(5)) {
            world_.local.insert("d2.test");
            add("alias_domain d2.test -> local.test");
        }
        if (chance(2)) add("mxbackup_enabled no"), disable_backups();
    }

    void add_domain(const std::string& domain) {
        const std::string form = one_of({"", ".", "*."}) + domain;
        switch (number(0, 9)) {
            case 0:
                world_.local.insert(domain);
                add("local_domain " + domain);
                break;
            case 1:
                world_.local.insert(domain);
                world_.files["users." + domain] = "bob\nerin forward=far@elsewhere.test\n";
                world_.destinations.insert("far@elsewhere.test");
                add(fmt::format("virtual_domain {0} maildir:/var/mail/{0}/%u owner=vmail users=users.{0}",
                                domain));
                break;
            case 2:
            case 3:
                world_.relayed.push_back({form});
                add("relay_domain " + form);
                break;
            case 4:
            case 5: {
                const bool tree = chance(5);
                const bool enabled = chance(7);
                world_.backups.push_back({{(tree ? "*." : "") + domain}, enabled});
                add(fmt::format("mxbackup {}{}{}", domain, tree ? " subdomains" : "",
                                enabled ? "" : " disabled"));
                break;
            }
            case 6:
                world_.recipients.push_back({"", {form}, true, false});
                add(fmt::format("rcpt {} relay", form));
                break;
            case 7:
                world_.recipients.push_back({"u", {domain}, true, false});
                add(fmt::format("rcpt u@{} relay", domain));
                break;
            case 8:
                world_.local.insert(domain);
                world_.recipients.push_back({"", {domain}, false, false});
                add(fmt::format("rcpt {} local", domain));
                break;
            default:
                break;  // it is nobody's
        }
    }

    void disable_backups() {
        for (World::Backup& one : world_.backups)
            one.enabled = false;
    }

    /// Lines about clients and senders. None of them lets the strangers of the test relay.
    void add_policy() {
        add_some({"net 0.0.0.0/0 maxsize=10M conns=1000",
                  "net ::/0 tarpit=1s+50%<3s",
                  "net 203.0.113.0/24 quirks=nopipelining",
                  "net 203.0.113.9 accept vrfy expn etrn",
                  "net 203.0.113.128/25 relay",
                  "net 2001:db8:1::/48 trust=all",
                  "rdns liar.example relay",
                  "rdns .out.example relay",
                  "rdns out.example accept",
                  "helo * strict",
                  "helo mx2.test accept",
                  "helo \\[10.* accept",
                  "login * relay",
                  "login fred trust=all",
                  "port 25 maxsize=5M",
                  "port 587 fqdn use tune",
                  "sender alice@local.test accept",
                  "sender local.test accept",
                  "sender <> accept",
                  "sender hotmail.com norelay",
                  "sender postmaster@ accept",
                  "sender_login alice@local.test fred",
                  "default net conns=20 maxsize=20M rcptdns=require",
                  "default sender senddns=off",
                  "default port maxrcpt=500",
                  "default helo quirks=noetrn",
                  "default login maxsize=50M"});
    }

    /// Lines about recipients that only tune, keep back or throw away; and one that the DNS answers.
    void add_recipient_lines() {
        struct Tuning {
            std::string local;
            std::string domain;
            std::string items;
        };
        for (const Tuning& one : std::vector<Tuning>{{"", "hotmail.com", "maxsize=1M"},
                                                     {"", "*.com", "verify=off"},
                                                     {"tomy", "", "maxsize=1M"},
                                                     {"tomy", "hotmail.com", "dnsbl=ignore"},
                                                     {"", "remote.test", "quarantine"},
                                                     {"", "*.evil.test", "discard"},
                                                     {"", ".primary.test", "use tune"},
                                                     {"u", "branch.primary.test", "verify=on"},
                                                     {"postmaster", "", "accept"},
                                                     {"abuse", "", "accept"},
                                                     {"alice", "local.test", "accept maxsize=1M"}}) {
            // A key has one line.
            const bool taken = std::any_of(
                world_.recipients.begin(), world_.recipients.end(), [&](const RecipientLine& line) {
                    return line.local == one.local && line.domain.text == one.domain;
                });
            if (taken || !chance(4)) continue;
            world_.recipients.push_back({one.local, {one.domain}, false, false});
            add(fmt::format("rcpt {}{}{} {}", one.local, one.local.empty() ? "" : "@", one.domain,
                            one.items));
        }
        for (const char* domain : {"othercompany.test", "backed.test", "best.test"}) {
            if (!chance(3)) continue;
            const bool backup = chance(7);
            world_.recipients.push_back({"", {domain}, false, backup});
            add(fmt::format("rcpt {} mx={}", domain, backup ? "backup" : "off"));
        }
        const std::string fallback = one_of(
            {"", "reject", "defer", "mx=backup", "mx=backup reject", "maxsize=9M", "verify=off", "use tune"});
        if (!fallback.empty()) add("default rcpt " + fallback);
        world_.default_by_mx = fallback.starts_with("mx=");
    }

    void add_routes() {
        add_some({"route hotmail.com via [192.0.2.60]", "route remote.test mx retry=5m lifetime=1d",
                  "route .evil.test discard", "route othercompany.test via smart.example:587 hold",
                  "route * via smart.example"});
    }

    void add_forwarding() {
        world_.files["aliases"] =
            "sales: alice, far@elsewhere.test\nT?m: \"|/usr/bin/robot x\"\nbox: /var/mail/box\n"
            "hot*: alice\nlist: :include:members\n";
        world_.files["members"] = "carol\nmember@elsewhere.test\n";
        world_.files["everywhere"] = "webmaster: alice, web@elsewhere.test\n";
        if (chance(7)) {
            add("alias_file local.test aliases");
            world_.destinations.insert(
                {"far@elsewhere.test", "/usr/bin/robot x", "/var/mail/box", "member@elsewhere.test"});
        }
        if (chance(5)) {
            add("alias_file * everywhere");
            world_.destinations.insert("web@elsewhere.test");
        }
        add_some({"redirect any@* bob@local.test scope=any",
                  "redirect *@evil.test alice@local.test scope=any", "redirect some@* alice@local.test",
                  "redirect+copy tomy@hotmail.com alice@local.test scope=any", "redirect_all_matches no",
                  "alias_fallthrough no",
                  fmt::format("recipient_delimiter {}", one_of({"+", "-", "%", "!", "=", "\"\""}))});
        if (chance(4)) {
            add("redirect carol@local.test fred@elsewhere.test");
            world_.destinations.insert("fred@elsewhere.test");
        }
        if (chance(3)) add("catchall local.test unknown");
    }

    std::mt19937 random_;
    World world_;
};

}  // namespace postrider::router::test
