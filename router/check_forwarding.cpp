#include "router/check_forwarding.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "router/check.h"
#include "router/expansion.h"

namespace postrider::router {

namespace {

class ForwardingCheck {
  public:
    ForwardingCheck(const Tables& tables, Facts& facts) : tables_(tables), facts_(facts) {
        for (const auto& [name, domain] : tables.local_domains)
            domains_.emplace(name, &domain);
    }

    std::vector<std::string> run() {
        for (const Redirect& redirect : tables_.redirects.lines())
            check_redirect(redirect);
        for (const auto& [name, domain] : domains_) {
            if (domain->aliases) check_wildcards(*domain->aliases);
            check_catchall(*domain);
        }
        if (tables_.common_aliases) check_wildcards(*tables_.common_aliases);
        return std::move(dangers_);
    }

  private:
    void add(const config::Position& position, std::string_view text) {
        std::string danger = fmt::format("{}: {}", position.line_text(), text);
        // One alias file may serve several domains.
        if (std::find(dangers_.begin(), dangers_.end(), danger) == dangers_.end())
            dangers_.push_back(std::move(danger));
    }

    void check_redirect(const Redirect& redirect);
    void check_exact_redirect(const Redirect& redirect);
    void look_for_shadowed_alias(const Redirect& redirect, const LocalDomain& domain);
    void check_wildcards(const AliasTable& aliases);
    void check_catchall(const LocalDomain& domain);

    [[nodiscard]] bool speaks_of(const Redirect& redirect, std::string_view domain) const;
    [[nodiscard]] static bool is_about(const RedirectPattern& pattern, std::string_view local);

    const Tables& tables_;
    Facts& facts_;
    std::map<std::string_view, const LocalDomain*> domains_;  // sorted: a list that changes is hard to read
    std::vector<std::string> dangers_;
};

/// Whether the line looks at the addresses of a local domain, by one of its names.
bool ForwardingCheck::speaks_of(const Redirect& redirect, std::string_view domain) const {
    const DomainPattern& pattern = redirect.pattern.domain;
    if (pattern.matches(domain)) return true;
    return std::any_of(tables_.domain_aliases.begin(), tables_.domain_aliases.end(), [&](const auto& alias) {
        return alias.second.domain == domain && pattern.matches(alias.first);
    });
}

bool ForwardingCheck::is_about(const RedirectPattern& pattern, std::string_view local) {
    if (!pattern.wild) return pattern.local == local;
    const Result<NamePattern> name = NamePattern::parse(pattern.local);
    return name && name->matches(local);
}

void ForwardingCheck::check_redirect(const Redirect& redirect) {
    const bool reaches_local = std::any_of(domains_.begin(), domains_.end(), [&](const auto& domain) {
        return speaks_of(redirect, domain.first);
    });
    if (!redirect.any_domain && !reaches_local) {
        add(redirect.position, fmt::format("redirect {}: there is no such local domain, so the line has no "
                                           "effect without scope=any",
                                           redirect.pattern.text()));
        return;
    }
    if (redirect.any_domain && redirect.pattern.domain.kind != DomainPattern::Kind::Exact) {
        add(redirect.position,
            fmt::format("redirect {}: scope=any also takes what is sent from here to other "
                        "hosts",
                        redirect.pattern.text()));
    }
    if (redirect.pattern.is_exact()) check_exact_redirect(redirect);
    if (redirect.copy) return;
    for (const auto& [name, domain] : domains_) {
        // What only a further name of the domain is sent elsewhere for is still there under the others.
        if (redirect.pattern.domain.matches(name)) look_for_shadowed_alias(redirect, *domain);
    }
}

void ForwardingCheck::check_exact_redirect(const Redirect& redirect) {
    const Address address{redirect.pattern.local, redirect.pattern.domain.domain};
    const LocalDomain* domain = tables_.local_domain(address.domain);
    const Address canonical{address.local, domain == nullptr ? address.domain : domain->name};
    const std::vector<const Redirect*> lines = redirects_of(tables_, canonical, address.domain);
    if (std::find(lines.begin(), lines.end(), &redirect) == lines.end()) {
        add(redirect.position,
            fmt::format("redirect {}: the line at {} comes first, and redirect_all_matches is no",
                        redirect.pattern.text(), lines.empty() ? "?" : lines.front()->position.line_text()));
        return;
    }
    const std::string fault = fault_of(expand(address, tables_, facts_));
    if (!fault.empty())
        add(redirect.position, fmt::format("redirect {}: {}", redirect.pattern.text(), fault));
}

/// One alias is enough to say that the line is hardly meant.
void ForwardingCheck::look_for_shadowed_alias(const Redirect& redirect, const LocalDomain& domain) {
    std::shared_ptr<const Alias> shadowed;
    if (!redirect.pattern.wild) {
        const AliasMatch match = find_alias(tables_, domain, redirect.pattern.local);
        if (match.alias != nullptr && match.alias->name == redirect.pattern.local) shadowed = match.alias;
    } else if (domain.aliases) {
        domain.aliases->for_each([&](const Alias& alias) {
            if (alias.wild || !is_about(redirect.pattern, alias.name)) return true;
            shadowed = std::make_shared<const Alias>(alias);
            return false;
        });
    }
    if (shadowed == nullptr) return;
    add(redirect.position,
        fmt::format("redirect {}: the alias {} at {} is never asked", redirect.pattern.text(), shadowed->name,
                    shadowed->position.line_text()));
}

void ForwardingCheck::check_wildcards(const AliasTable& aliases) {
    aliases.for_each([&](const Alias& alias) {
        if (!alias.wild) return true;
        if (alias.name == "*") {
            add(alias.position,
                "alias *: it takes the mail of every user; catchall is for names that nobody has");
        }
        // An earlier pattern that matches this one as if its wildcards were letters matches all that it does;
        // only `?` says less than that, as it stands for one of them.
        const AliasAnswer first = aliases.find_wild(alias.name);
        if (!first || !*first || (*first)->position.line >= alias.position.line) return true;
        const Alias& earlier = **first;
        if (earlier.name != alias.name && earlier.name.find('?') != std::string::npos) return true;
        add(alias.position, fmt::format("alias {}: {} at {} comes first, so the line has no effect",
                                        alias.name, earlier.name, earlier.position.line_text()));
        return true;
    });
}

void ForwardingCheck::check_catchall(const LocalDomain& domain) {
    if (domain.catchall.empty()) return;
    const Expansion expansion = expand(Address{domain.catchall, domain.name}, tables_, facts_);
    const bool is_mailbox = expansion.outcome == Expansion::Outcome::Delivered &&
                            expansion.leaves.size() == 1 &&
                            expansion.leaves.front().kind == Leaf::Kind::Mailbox;
    // Without a user of his name the catch-all would be his own catch-all.
    const bool exists = domain.has_users() || facts_.system_user(domain.catchall).state == FactState::Known;
    if (is_mailbox && exists) return;
    add(domain.catchall_position,
        fmt::format("catchall {}: {} has no mailbox, so the mail waits", domain.name, domain.catchall));
}

}  // namespace

std::vector<std::string> find_bad_forwarding(const Tables& tables, Facts& facts) {
    return ForwardingCheck(tables, facts).run();
}

}  // namespace postrider::router
