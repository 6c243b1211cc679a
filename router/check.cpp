#include "router/check.h"

#include <fmt/format.h>

#include <map>
#include <set>
#include <utility>

#include "libcommon/mail/domain.h"

namespace postrider::router {

namespace {

using config::Directive;
using config::Word;

void add(std::vector<std::string>& dangers, const config::Position& position, std::string_view text) {
    dangers.push_back(fmt::format("{}: {}", position.line_text(), text));
}

/// The domains of local_domain, virtual_domain and alias_domain lines.
std::set<std::string> local_names(const config::Settings& settings) {
    std::set<std::string> names;
    for (const Directive* line : settings.table("local_domain")) {
        for (const Word& word : line->words) {
            if (const Result<mail::Domain> domain = mail::parse_domain(word.text))
                names.insert(domain->name());
        }
    }
    for (const Directive* line : settings.table("virtual_domain")) {
        const Result<mail::Domain> domain = mail::parse_domain(line->words.front().text);
        if (domain) names.insert(domain->name());
    }
    for (const Directive* line : settings.table("alias_domain")) {
        const Result<mail::Domain> domain = mail::parse_domain(line->words.front().text);
        if (domain) names.insert(domain->name());
    }
    return names;
}

void check_relay_domains(const config::Settings& settings, const std::set<std::string>& local,
                         std::vector<std::string>& dangers) {
    for (const Directive* line : settings.table("relay_domain")) {
        for (const Word& word : line->words) {
            const Result<DomainPattern> pattern = DomainPattern::parse(word.text);
            if (!pattern) continue;
            if (pattern->kind == DomainPattern::Kind::Exact && local.contains(pattern->domain)) {
                add(dangers, word.position,
                    fmt::format("{} is a local domain, so the line has no effect", pattern->domain));
            }
            if (pattern->kind != DomainPattern::Kind::Exact &&
                pattern->domain.find('.') == std::string::npos) {
                add(dangers, word.position,
                    fmt::format("everybody may send mail to all of {}", pattern->text()));
            }
        }
    }
}

void check_routes(const config::Settings& settings, const std::set<std::string>& local,
                  std::vector<std::string>& dangers) {
    for (const Directive* line : settings.table("route")) {
        const Result<DomainPattern> pattern = DomainPattern::parse(line->words.front().text);
        if (!pattern || pattern->kind != DomainPattern::Kind::Exact || !local.contains(pattern->domain))
            continue;
        add(dangers, line->position,
            fmt::format("{} is a local domain, so the route has no effect", pattern->domain));
    }
}

void check_aliases(const AliasTable& aliases, const std::string& domain, const Tables& tables, Facts& facts,
                   std::vector<std::string>& dangers) {
    std::size_t checked = 0;
    aliases.for_each([&](const Alias& alias) {
        if (checked++ == tables.limits.checked_aliases) {
            add(dangers, alias.position, "where the aliases from here on lead to was not looked at");
            return false;
        }
        if (alias.wild) return true;
        const std::string fault = fault_of(expand(Address{alias.name, domain}, tables, facts));
        if (!fault.empty()) add(dangers, alias.position, fmt::format("alias {}: {}", alias.name, fault));
        return true;
    });
}

}  // namespace

std::string fault_of(const Expansion& expansion) {
    if (expansion.outcome == Expansion::Outcome::Refused ||
        expansion.outcome == Expansion::Outcome::Deferred) {
        return fmt::format("{} {}", expansion.enhanced, expansion.text);
    }
    for (const Leaf& leaf : expansion.leaves) {
        if (leaf.kind == Leaf::Kind::Failure) {
            return fmt::format("it leads to {}: {}", leaf.address.text(), leaf.failure);
        }
    }
    return {};
}

std::vector<std::string> find_shadowed_lines(const config::Settings& settings) {
    std::vector<std::string> dangers;
    const std::set<std::string> local = local_names(settings);
    check_relay_domains(settings, local, dangers);
    check_routes(settings, local, dangers);
    return dangers;
}

std::vector<std::string> find_unread_postmasters(const Tables& tables, Facts& facts) {
    std::vector<std::string> dangers;
    std::map<std::string_view, const LocalDomain*> sorted;
    for (const auto& [name, domain] : tables.local_domains)
        sorted.emplace(name, &domain);
    for (const auto& [name, domain] : sorted) {
        const Expansion expansion = expand(Address{"postmaster", domain->name}, tables, facts);
        if (expansion.outcome != Expansion::Outcome::Held) continue;
        add(dangers, domain->position,
            fmt::format("nobody reads postmaster@{}: his mail is accepted and waits for an alias", name));
    }
    if (expand(Address{"root", tables.primary_domain}, tables, facts).outcome == Expansion::Outcome::Held) {
        add(dangers, tables.local_domain(tables.primary_domain)->position,
            "nobody reads root: mail of the system waits for an alias");
    }
    return dangers;
}

std::vector<std::string> find_bad_aliases(const Tables& tables, Facts& facts) {
    std::vector<std::string> dangers;
    std::map<std::string_view, const LocalDomain*> sorted;
    for (const auto& [name, domain] : tables.local_domains)
        sorted.emplace(name, &domain);
    for (const auto& [name, domain] : sorted) {
        if (domain->aliases) check_aliases(*domain->aliases, domain->name, tables, facts, dangers);
    }
    if (tables.common_aliases) {
        check_aliases(*tables.common_aliases, tables.primary_domain, tables, facts, dangers);
    }
    return dangers;
}

}  // namespace postrider::router
