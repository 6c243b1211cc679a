#include "router/check_routes.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "router/dns_policy.h"
#include "router/mail_domain.h"
#include "router/way_out.h"

namespace postrider::router {

namespace {

using config::Directive;
using config::Word;
using Kind = DomainPattern::Kind;

void add_doubt(std::vector<std::string>& doubts, const config::Position& position, std::string_view text) {
    doubts.push_back(fmt::format("{}: {}", position.line_text(), text));
}

/// The value of a wider pattern that holds for all of `pattern`, or nullptr; of several the nearest one.
template <typename T>
const T* wider(const DomainTable<T>& table, DomainPattern pattern) {
    if (pattern.kind == Kind::Any) return nullptr;
    if (pattern.kind != Kind::Tree) {
        pattern.kind = Kind::Tree;
        if (const T* found = table.at(pattern)) return found;
    }
    for (std::size_t dot = pattern.domain.find('.'); dot != std::string::npos;
         dot = pattern.domain.find('.')) {
        pattern.domain.erase(0, dot + 1);
        for (const Kind kind : {Kind::SubDomains, Kind::Tree}) {
            pattern.kind = kind;
            if (const T* found = table.at(pattern)) return found;
        }
    }
    return nullptr;
}

DomainPattern backup_pattern(const Directive& line) {
    // The tables were built, so the word is a domain.
    DomainPattern pattern = DomainPattern::parse(line.words.front().text).value();
    if (line.has_flag("subdomains")) pattern.kind = Kind::Tree;
    return pattern;
}

void check_relay_lines(const config::Settings& settings, const Tables& tables,
                       std::vector<std::string>& doubts) {
    for (const Directive* line : settings.table("relay_domain")) {
        for (const Word& word : line->words) {
            const DomainPattern pattern = DomainPattern::parse(word.text).value();
            const Rule* found = wider(tables.relay_domains, pattern);
            // A local domain has no use for the line anyway (check.h).
            const bool local = pattern.kind == Kind::Exact && tables.local_domain(pattern.domain) != nullptr;
            if (found == nullptr || local) continue;
            add_doubt(doubts, word.position,
                      fmt::format("{} is covered by the relay_domain line at {} already", pattern.text(),
                                  found->position.line_text()));
        }
    }
}

/// A route by which mail leaves through port 25 of hosts that somebody else chooses.
bool goes_by_mx(const Route* route) {
    return route == nullptr || route->kind == Route::Kind::Mx;
}

/// `route * via HOST compulsory`, or nullptr: there is no other way out of this network, because the port of
/// SMTP is closed (mx-backup, 9).
const Route* compulsory_smarthost(const Tables& tables) {
    const Route* route = default_route(tables);
    return route != nullptr && route->compulsory ? route : nullptr;
}

/// Whether the way leads to port 25 of a host outside: what has an address of a private network may be
/// reached all the same.
bool takes_port_of_smtp(const Route& route) {
    if (route.kind != Route::Kind::Via || !route.next_hop.ends_with(":25")) return false;
    const std::string_view host = std::string_view(route.next_hop).substr(0, route.next_hop.rfind(':'));
    const Result<config::IpAddress> address = config::IpAddress::parse(host);
    return !address || !(is_private(*address) || address->is_loopback());
}

/// Calls `take` with each rule whose `mx=` admits something: those of `rcpt` lines, and the default one.
template <typename Take>
void for_each_mx_line(const config::Settings& settings, const Tables& tables, Take take) {
    if (const PolicyRule* rule = mx_line(nullptr, tables)) take(*rule);
    for (const Directive* line : settings.table("rcpt")) {
        const Result<AddressKey> key = AddressKey::parse(line->words.front().text);
        const PolicyRule* rule = key ? tables.policy.recipient_at(*key) : nullptr;
        if (rule != nullptr && mx_line(rule, tables) != nullptr) take(*rule);
    }
}

void check_backup_line(const Directive& line, const Tables& tables, std::vector<std::string>& doubts) {
    const DomainPattern pattern = backup_pattern(line);
    const std::string& domain = pattern.domain;
    if (pattern.kind == Kind::Exact && tables.local_domain(domain) != nullptr) {
        add_doubt(doubts, line.position,
                  fmt::format("{} is a local domain, so the line has no effect", domain));
        return;
    }
    if (tables.local_domain(domain) != nullptr) {
        add_doubt(doubts, line.position,
                  fmt::format("{} is a local domain, so the line holds for those below it only", domain));
    }
    if (pattern.kind == Kind::Tree && domain.find('.') == std::string::npos) {
        add_doubt(doubts, line.position, fmt::format("everybody may send mail to all of {}", pattern.text()));
    }
    const Backup& backup = *tables.backups.at(pattern);
    const Rule* relayed = tables.relay_domains.find(domain);
    if (!backup.enabled && relayed != nullptr) {
        add_doubt(doubts, line.position,
                  fmt::format("mail for {} is accepted all the same, by the relay_domain line at {}", domain,
                              relayed->position.line_text()));
    }
    const Backup* parent = wider(tables.backups, pattern);
    if (parent != nullptr && parent->enabled == backup.enabled) {
        add_doubt(doubts, line.position,
                  fmt::format("{} is covered by the mxbackup line at {} already", domain,
                              parent->position.line_text()));
    }
    const Route* smarthost = compulsory_smarthost(tables);
    if (smarthost == nullptr) return;
    const Route* route = tables.routes.find(domain);
    if (goes_by_mx(route)) {
        add_doubt(
            doubts, line.position,
            fmt::format("mail leaves by {} only ({}), which would send it back here: {} needs a route of "
                        "its own, such as route {} via [ADDRESS]:2525",
                        smarthost->next_hop, smarthost->position.line_text(), domain, domain));
    } else if (takes_port_of_smtp(*route)) {
        add_doubt(
            doubts, line.position,
            fmt::format("mail leaves by {} only ({}), so that {} ({}) cannot be reached: it takes another "
                        "port, such as :2525",
                        smarthost->next_hop, smarthost->position.line_text(), route->next_hop,
                        route->position.line_text()));
    }
}

/// What `mx=` admits goes to the MX of its domain, too.
void check_mx_lines(const config::Settings& settings, const Tables& tables,
                    std::vector<std::string>& doubts) {
    const Route* smarthost = compulsory_smarthost(tables);
    if (smarthost == nullptr) return;
    for_each_mx_line(settings, tables, [&](const PolicyRule& rule) {
        add_doubt(doubts, rule.position,
                  fmt::format("mail leaves by {} only ({}), so that none of what mx= admits here can go to a "
                              "better MX, but to that of a domain with a route of its own",
                              smarthost->next_hop, smarthost->position.line_text()));
    });
}

void check_route_lines(const config::Settings& settings, const Tables& tables,
                       std::vector<std::string>& doubts) {
    const Route* smarthost = compulsory_smarthost(tables);
    for (const Directive* line : settings.table("route")) {
        DomainPattern pattern = DomainPattern::parse(line->words.front().text).value();
        const Route& route = *tables.routes.at(pattern);
        if (smarthost != nullptr && goes_by_mx(&route)) {
            add_doubt(doubts, line->position,
                      fmt::format("mail leaves by {} only ({}), so that none of {} can go to its MX",
                                  smarthost->next_hop, smarthost->position.line_text(), pattern.text()));
        }
        if (pattern.kind != Kind::Tree) continue;
        const std::string text = pattern.text();
        pattern.kind = Kind::Exact;
        const Route* exact = tables.routes.at(pattern);
        pattern.kind = Kind::SubDomains;
        const Route* below = tables.routes.at(pattern);
        if (exact == nullptr || below == nullptr) continue;
        add_doubt(doubts, line->position,
                  fmt::format("the routes at {} and {} leave nothing of {}", exact->position.line_text(),
                              below->position.line_text(), text));
    }
}

}  // namespace

std::vector<std::string> find_doubtful_routes(const config::Settings& settings, const Tables& tables) {
    std::vector<std::string> doubts;
    check_relay_lines(settings, tables, doubts);
    for (const Directive* line : settings.table("mxbackup"))
        check_backup_line(*line, tables, doubts);
    check_mx_lines(settings, tables, doubts);
    check_route_lines(settings, tables, doubts);
    return doubts;
}

std::vector<std::string> find_bypasses(const config::Settings& settings, const Tables& tables) {
    constexpr std::size_t kMostShown = 20;
    const Route* smarthost = default_route(tables);
    // Past a compulsory one there is no way: that is a danger.
    if (smarthost == nullptr || smarthost->kind != Route::Kind::Via || smarthost->compulsory) return {};
    std::string names;
    std::size_t bypassing = 0;
    for (const Directive* line : settings.table("mxbackup")) {
        const DomainPattern pattern = backup_pattern(*line);
        const Route* route = tables.routes.at(pattern);
        if (route == nullptr || route->position.line_text() != line->position.line_text()) continue;
        if (++bypassing > kMostShown) continue;
        names += fmt::format("{}{}", names.empty() ? "" : ", ", pattern.domain);
        if (pattern.kind == Kind::Tree) names += fmt::format(", .{}", pattern.domain);
    }
    if (bypassing > kMostShown) names += fmt::format(" and {} more", bypassing - kMostShown);
    for_each_mx_line(settings, tables, [&](const PolicyRule& rule) {
        names += fmt::format("{}what mx= admits at {}", names.empty() ? "" : ", ", rule.position.line_text());
    });
    if (names.empty()) return {};
    return {fmt::format("{}: default smarthost bypassed for {}", smarthost->position.line_text(), names)};
}

}  // namespace postrider::router
