#include "router/forwarding_builder.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>

#include "libcommon/mail/domain.h"

namespace postrider::router {

namespace {

using config::Directive;
using config::Errors;
using config::Word;

constexpr std::string_view kRedirectCopy = "redirect+copy";

std::optional<std::string> named_domain(const Word& word, Errors& errors) {
    const Result<mail::Domain> domain = mail::parse_domain(word.text);
    if (domain && !domain->is_literal()) return domain->name();
    errors.add(word.position, domain ? "an address literal is no domain" : domain.error().text);
    return std::nullopt;
}

void add_domain_alias(const Directive& line, Tables& tables, Errors& errors) {
    if (line.words[1].text != "->") {
        errors.add(line.words[1].position, "expected DOMAIN -> DOMAIN");
        return;
    }
    const std::optional<std::string> name = named_domain(line.words[0], errors);
    const std::optional<std::string> target = named_domain(line.words[2], errors);
    if (!name || !target) return;
    const auto local = tables.local_domains.find(*name);
    if (local != tables.local_domains.end()) {
        errors.add(line.words[0].position, fmt::format("{} is a local domain already, at {}", *name,
                                                       local->second.position.line_text()));
    } else if (const auto alias = tables.domain_aliases.find(*target); alias != tables.domain_aliases.end()) {
        errors.add(line.words[2].position,
                   fmt::format("{} is only another name of {}", *target, alias->second.domain));
    } else if (!tables.local_domains.contains(*target)) {
        errors.add(line.words[2].position,
                   fmt::format("{} is neither in a local_domain nor in a virtual_domain line", *target));
    } else if (const auto [place, added] =
                   tables.domain_aliases.try_emplace(*name, DomainAlias{*target, line.position});
               !added) {
        errors.add(line.words[0].position,
                   fmt::format("{} is another name of {} already, at {}", *name, place->second.domain,
                               place->second.position.line_text()));
    }
}

/// Whether a line of this scope looks at every domain; nothing, with an error, for any other word.
std::optional<bool> any_domain(const Directive& line, bool usual, Errors& errors) {
    const config::Option* scope = line.option("scope");
    if (scope == nullptr) return usual;
    if (scope->value == "any") return true;
    if (scope->value == "local") return false;
    errors.add(scope->position, "expected scope=local or scope=any");
    return std::nullopt;
}

void add_redirect(const Directive& line, bool usual_scope, Tables& tables, Errors& errors) {
    Redirect redirect;
    redirect.position = line.position;
    redirect.copy = line.name == kRedirectCopy;
    Result<RedirectPattern> pattern = RedirectPattern::parse(line.words.front().text);
    if (!pattern) errors.add(line.words.front().position, pattern.error().text);
    const std::optional<bool> scope = any_domain(line, usual_scope, errors);
    for (auto word = line.words.begin() + 1; word != line.words.end(); ++word) {
        std::vector<Destination> more = parse_destination_word(*word, errors);
        redirect.destinations.insert(redirect.destinations.end(), std::make_move_iterator(more.begin()),
                                     std::make_move_iterator(more.end()));
    }
    if (!pattern || !scope || redirect.destinations.empty()) return;
    redirect.pattern = std::move(*pattern);
    redirect.any_domain = *scope;
    tables.redirects.add(std::move(redirect));
}

/// Why mail for `name` would not simply be stored in his mailbox; empty if nothing is known against it.
std::string not_a_mailbox(const Tables& tables, const LocalDomain& domain, const std::string& name) {
    const Address address{name, domain.name};
    for (const Redirect* redirect : redirects_of(tables, address, address.domain)) {
        return fmt::format("{} is redirected at {}", address.text(), redirect->position.line_text());
    }
    const AliasMatch match = find_alias(tables, domain, name);
    if (match.alias != nullptr)
        return fmt::format("{} is an alias, at {}", name, match.alias->position.line_text());
    if (!domain.users) return {};
    const VirtualUserAnswer user = domain.users->find(name);
    if (!user) return {};
    if (!*user) return fmt::format("{} has no user {}", domain.name, name);
    if ((*user)->forward.empty()) return {};
    return fmt::format("the mail of {} is forwarded, at {}", name, (*user)->position.line_text());
}

void add_catchall(const Directive& line, Tables& tables, Errors& errors) {
    const std::optional<std::string> name = named_domain(line.words[0], errors);
    if (!name) return;
    const Word& word = line.words[1];
    const auto found = tables.local_domains.find(*name);
    if (found == tables.local_domains.end()) {
        errors.add(line.words[0].position,
                   tables.domain_aliases.contains(*name)
                       ? fmt::format("{} is only another name of {}", *name,
                                     tables.domain_aliases.find(*name)->second.domain)
                       : fmt::format("{} is neither in a local_domain nor in a virtual_domain line", *name));
        return;
    }
    LocalDomain& domain = found->second;
    if (!domain.catchall.empty()) {
        errors.add(line.position, fmt::format("the catch-all of {} is given already, at {}", *name,
                                              domain.catchall_position.line_text()));
        return;
    }
    // All of these are characters of local parts.
    if (word.text.find_first_of("|/$*?") == 0) {
        errors.add(word.position, "a catch-all is a mailbox, no program and no file");
        return;
    }
    const Result<Address> mailbox = parse_address(word.text);
    if (!mailbox) {
        errors.add(word.position, mailbox.error().text);
        return;
    }
    if (!mailbox->domain.empty() && mailbox->domain != domain.name) {
        errors.add(word.position, fmt::format("a catch-all is a mailbox of {} itself", domain.name));
        return;
    }
    const std::string local = folded(mailbox->local);
    if (const std::string fault = not_a_mailbox(tables, domain, local); !fault.empty()) {
        errors.add(word.position, fmt::format("a catch-all must be a mailbox; {}", fault));
        return;
    }
    domain.catchall = local;
    domain.catchall_position = line.position;
}

}  // namespace

void add_domain_aliases(const config::Settings& settings, Tables& tables, Errors& errors) {
    for (const Directive* line : settings.table("alias_domain"))
        add_domain_alias(*line, tables, errors);
}

void add_redirects(const config::Settings& settings, Tables& tables, Errors& errors) {
    const bool usual = settings.redirect_scope == config::RedirectScope::Any;
    // In the order in which the lines stand, of both kinds.
    for (const Directive& line : settings.tables) {
        if (line.name == "redirect" || line.name == kRedirectCopy) add_redirect(line, usual, tables, errors);
    }
}

void add_catchalls(const config::Settings& settings, Tables& tables, Errors& errors) {
    for (const Directive* line : settings.table("catchall"))
        add_catchall(*line, tables, errors);
}

}  // namespace postrider::router
