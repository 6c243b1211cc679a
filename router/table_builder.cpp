#include "router/table_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "libcommon/config/values.h"
#include "libcommon/mail/domain.h"
#include "router/backup_domains.h"
#include "router/forwarding_builder.h"
#include "router/policy_builder.h"
#include "router/route_line.h"
#include "router/table_sources.h"

namespace postrider::router {

namespace {

using config::Directive;
using config::Errors;
using config::Limit;
using config::Position;
using config::Word;

/// Where mailboxes are unless a line says otherwise.
constexpr std::string_view kDefaultMailbox = "maildir:~/Maildir";

class Builder {
  public:
    Builder(const config::Settings& settings, const BuildInputs& inputs)
        : settings_(settings),
          inputs_(inputs),
          errors_(settings.limits.size(Limit::ConfigErrors)),
          sources_(*inputs.files, inputs.databases, settings.limits) {}

    BuildResult run();

  private:
    void set_limits();
    void add_local_domains();
    void add_virtual_domains();
    void add_virtual_domain(const Directive& line);
    void add_domain(LocalDomain domain, const Position& position);
    void add_primary_domain();
    void add_mailboxes();
    void add_alias_files();
    void add_relay_domains();
    void add_policy_domains(const std::vector<PolicyDomain>& domains);
    void add_routes();
    void add_lists(const std::vector<Destination>& destinations);
    void add_list(const Destination& include);

    [[nodiscard]] std::optional<std::string> domain_name(const Word& word);
    [[nodiscard]] std::optional<PathTemplate> mailbox_template(const Word& word);
    [[nodiscard]] std::optional<Owner> owner_of(const Directive& line);
    [[nodiscard]] std::shared_ptr<const UserTable> users_of(const Directive& line, bool needs_home);
    [[nodiscard]] std::shared_ptr<const AliasTable> alias_table(const Word& path);
    void name_file(const std::string& path);
    [[nodiscard]] std::optional<std::string> read(const std::string& path, const Position& named_at,
                                                  Errors& errors);

    const config::Settings& settings_;
    const BuildInputs& inputs_;
    Errors errors_;
    TableSources sources_;
    std::vector<std::string> list_errors_;
    std::vector<std::string> dangers_;
    std::shared_ptr<Tables> tables_ = std::make_shared<Tables>();
    std::vector<std::string> files_;
    std::set<std::string> known_files_;
    StringMap<std::shared_ptr<const AliasTable>> alias_tables_;  // by path; one file may serve many domains
    StringMap<Position> alias_lines_;                            // by domain, for naming both lines
    StringMap<Position> mailbox_lines_;
};

BuildResult Builder::run() {
    set_limits();
    BuiltPolicy policy = build_policy(settings_, errors_);
    tables_->policy = std::move(policy.table);
    dangers_ = std::move(policy.dangers);
    add_local_domains();
    add_policy_domains(policy.local_domains);
    add_virtual_domains();
    add_primary_domain();
    add_domain_aliases(settings_, *tables_, errors_);
    add_mailboxes();
    add_alias_files();
    add_redirects(settings_, *tables_, errors_);
    for (const Redirect& redirect : tables_->redirects.lines())
        add_lists(redirect.destinations);
    add_catchalls(settings_, *tables_, errors_);
    add_relay_domains();
    add_routes();
    add_backup_domains(settings_, *tables_, errors_);
    for (const Directive* line : settings_.table("sender_login"))
        tables_->sender_logins.add(*line, errors_);
    check_accepted_domains(settings_, *tables_, errors_);
    BuildResult result;
    result.errors = errors_.take();
    result.list_errors = std::move(list_errors_);
    result.dangers = std::move(dangers_);
    result.files = std::move(files_);
    if (result.errors.empty()) result.tables = std::move(tables_);
    return result;
}

void Builder::set_limits() {
    const config::Limits& limits = settings_.limits;
    tables_->hostname = settings_.hostname;
    tables_->recipient_delimiter = settings_.recipient_delimiter;
    tables_->forward_file = settings_.forward_file;
    tables_->forward_file_overrides_self = settings_.forward_file_overrides_self;
    tables_->limits.expanded_recipients = limits.size(Limit::MaxExpandedRecipients);
    tables_->limits.expansion_steps = limits.size(Limit::AliasExpansion);
    tables_->limits.nesting = limits.size(Limit::AliasNesting);
    tables_->limits.ptr_names = limits.size(Limit::DnsPtrNames);
    tables_->limits.mx_hosts = limits.size(Limit::DnsMxHosts);
    tables_->limits.dns_timeout = limits.time(Limit::DnsChainTimeout);
    tables_->limits.client_name_timeout = limits.time(Limit::ClientNameTimeout);
    tables_->limits.dnsbl_timeout = limits.time(Limit::DnsblTimeout);
    std::vector<config::IpAddress> own = inputs_.own_addresses;
    own.insert(own.end(), settings_.self_addresses.begin(), settings_.self_addresses.end());
    tables_->self = config::Self(settings_.hostname, std::move(own));
    tables_->limits.rate_names = limits.size(Limit::RateNames);
    tables_->limits.full_mailbox_time = limits.time(Limit::FullMailboxTime);
    tables_->redirect_all_matches = settings_.redirect_all_matches;
    tables_->alias_fallthrough = settings_.alias_fallthrough;
    tables_->over_quota_fails = settings_.over_quota_bounces;
    tables_->lookup_may_pipe = settings_.lookup_may_pipe;
    tables_->limits.checked_aliases = limits.size(Limit::AliasChecks);
    tables_->sender_login_check = settings_.sender_login_check;
    tables_->rates = settings_.rates;
    tables_->client_prefixes = config::ClientPrefixes(limits);
    tables_->general = {limits, settings_.listeners, settings_.origins};
}

std::optional<std::string> Builder::domain_name(const Word& word) {
    const Result<mail::Domain> domain = mail::parse_domain(word.text);
    if (domain && !domain->is_literal()) return domain->name();
    errors_.add(word.position, domain ? "an address literal is no domain" : domain.error().text);
    return std::nullopt;
}

std::optional<PathTemplate> Builder::mailbox_template(const Word& word) {
    Result<PathTemplate> parsed = PathTemplate::parse(word.text);
    if (parsed) return std::move(*parsed);
    errors_.add(word.position, parsed.error().text);
    return std::nullopt;
}

void Builder::name_file(const std::string& path) {
    if (known_files_.insert(path).second) files_.push_back(path);
}

std::optional<std::string> Builder::read(const std::string& path, const Position& named_at, Errors& errors) {
    name_file(path);
    Result<std::string> text = inputs_.files->read(path, settings_.limits.size(Limit::TableSize));
    if (text) return std::move(*text);
    errors.add(named_at, text.error().text);
    return std::nullopt;
}

PathTemplate default_mailbox() {
    // The constant parses; if it did not, every test would fail.
    return PathTemplate::parse(kDefaultMailbox).value();
}

void Builder::add_domain(LocalDomain domain, const Position& position) {
    domain.position = position;
    if (tables_->primary_domain.empty() && !domain.is_virtual) tables_->primary_domain = domain.name;
    std::string name = domain.name;
    const auto [place, added] = tables_->local_domains.try_emplace(name, std::move(domain));
    if (!added) {
        errors_.add(position, fmt::format("{} is a local domain already, at {}", name,
                                          place->second.position.line_text()));
    }
}

void Builder::add_local_domains() {
    for (const Directive* line : settings_.table("local_domain")) {
        for (const Word& word : line->words) {
            std::optional<std::string> name = domain_name(word);
            if (!name) continue;
            LocalDomain domain;
            domain.name = std::move(*name);
            domain.mailbox = default_mailbox();
            add_domain(std::move(domain), word.position);
        }
    }
}

void Builder::add_policy_domains(const std::vector<PolicyDomain>& domains) {
    for (const PolicyDomain& named : domains) {
        LocalDomain domain;
        domain.name = named.name;
        domain.mailbox = default_mailbox();
        add_domain(std::move(domain), named.position);
    }
}

/// Some names always mean a user of this host: <postmaster>, and those of the common alias file. Where no
/// line names a local domain they are users at the host's own name.
void Builder::add_primary_domain() {
    if (!tables_->primary_domain.empty()) return;
    LocalDomain domain;
    domain.name = settings_.hostname;
    domain.mailbox = default_mailbox();
    domain.position = settings_.origin("hostname");
    tables_->primary_domain = domain.name;
    // A virtual domain of the host's name keeps it.
    tables_->local_domains.try_emplace(tables_->primary_domain, std::move(domain));
}

void Builder::add_virtual_domains() {
    for (const Directive* line : settings_.table("virtual_domain"))
        add_virtual_domain(*line);
}

void Builder::add_virtual_domain(const Directive& line) {
    std::optional<std::string> name = domain_name(line.words.front());
    LocalDomain domain;
    domain.is_virtual = true;
    domain.mailbox = default_mailbox();
    if (line.words.size() > 1) {
        std::optional<PathTemplate> mailbox = mailbox_template(line.words[1]);
        if (mailbox) domain.mailbox = std::move(*mailbox);
    }
    domain.owner = owner_of(line);
    if (const config::Option* quota = line.option("quota")) {
        const Result<std::uint64_t> size = config::parse_size(quota->value);
        if (!size) errors_.add(quota->position, size.error().text);
        if (size) domain.quota = *size;
    }
    if (line.option("users") != nullptr) {
        if (line.option("owner") == nullptr)
            errors_.add(line.position, "users= needs owner=, whose rights it takes");
        const TableName users = TableName::parse(line.option("users")->value);
        if (users.kind == TableName::Kind::Socket) {
            domain.users_socket = users.path;
        } else {
            domain.users = users_of(line, domain.mailbox.needs_home());
        }
    }
    if (!name) return;
    domain.name = std::move(*name);
    add_domain(std::move(domain), line.words.front().position);
}

std::optional<Owner> Builder::owner_of(const Directive& line) {
    const config::Option* option = line.option("owner");
    if (option == nullptr) return std::nullopt;
    const Result<config::UserIds> ids = inputs_.find_owner(option->value);
    if (!ids) {
        errors_.add(option->position, ids.error().text);
        return std::nullopt;
    }
    if (ids->uid == 0) {
        errors_.add(option->position, "root cannot own mailboxes of a virtual domain");
        return std::nullopt;
    }
    return Owner{option->value, *ids};
}

std::shared_ptr<const UserTable> Builder::users_of(const Directive& line, bool needs_home) {
    const config::Option* option = line.option("users");
    name_file(TableName::parse(option->value).path);
    std::shared_ptr<const UserTable> users =
        sources_.users(option->value, needs_home, option->position, errors_);
    if (users) add_lists(users->includes());
    return users;
}

void Builder::add_mailboxes() {
    for (const Directive* line : settings_.table("mailbox")) {
        const std::optional<std::string> name = domain_name(line->words[0]);
        std::optional<PathTemplate> mailbox = mailbox_template(line->words[1]);
        if (!name || !mailbox) continue;
        const auto [earlier, added] = mailbox_lines_.try_emplace(*name, line->position);
        const auto domain = tables_->local_domains.find(*name);
        if (!added) {
            errors_.add(line->position, fmt::format("the mailboxes of {} are given already, at {}", *name,
                                                    earlier->second.line_text()));
        } else if (domain == tables_->local_domains.end() || domain->second.is_virtual) {
            errors_.add(line->words[0].position, fmt::format("{} is not in a local_domain line", *name));
        } else {
            domain->second.mailbox = std::move(*mailbox);
        }
    }
}

void Builder::add_alias_files() {
    for (const Directive* line : settings_.table("alias_file")) {
        const bool common = line->words[0].text == "*";
        std::optional<std::string> name = common ? std::string("*") : domain_name(line->words[0]);
        std::shared_ptr<const AliasTable> aliases = alias_table(line->words[1]);
        if (!name) continue;
        const auto [earlier, added] = alias_lines_.try_emplace(*name, line->position);
        const auto domain = tables_->local_domains.find(*name);
        if (!added) {
            errors_.add(line->position, fmt::format("the aliases of {} are given already, at {}", *name,
                                                    earlier->second.line_text()));
        } else if (common) {
            tables_->common_aliases = std::move(aliases);
        } else if (domain == tables_->local_domains.end()) {
            errors_.add(line->words[0].position,
                        fmt::format("{} is neither in a local_domain nor in a virtual_domain line", *name));
        } else {
            domain->second.aliases = std::move(aliases);
        }
    }
}

std::shared_ptr<const AliasTable> Builder::alias_table(const Word& path) {
    const auto known = alias_tables_.find(path.text);
    if (known != alias_tables_.end()) return known->second;
    name_file(TableName::parse(path.text).path);
    std::shared_ptr<const AliasTable> table = sources_.aliases(path.text, path.position, errors_);
    if (table) add_lists(table->includes());
    alias_tables_.emplace(path.text, table);
    return table;
}

void Builder::add_lists(const std::vector<Destination>& destinations) {
    // A work list instead of recursion, because a chain of lists may be long.
    std::vector<Destination> includes;
    const auto collect = [&](const std::vector<Destination>& from) {
        std::copy_if(from.begin(), from.end(), std::back_inserter(includes),
                     [](const Destination& one) { return one.kind == Destination::Kind::Include; });
    };
    collect(destinations);
    while (!includes.empty()) {
        const Destination include = std::move(includes.back());
        includes.pop_back();
        if (tables_->lists.contains(include.text)) continue;
        add_list(include);
        collect(tables_->lists.find(include.text)->second.destinations);
    }
}

void Builder::add_list(const Destination& include) {
    IncludedList list;
    Errors errors(settings_.limits.size(Limit::ConfigErrors));
    if (const std::optional<std::string> text = read(include.text, include.position, errors)) {
        const auto file = std::make_shared<const std::string>(include.text);
        list.destinations = parse_alias_list(*text, file, errors);
        list.usable = errors.empty();
    }
    if (!list.usable) {
        list.destinations.clear();
        for (std::string& error : errors.take())
            list_errors_.push_back(std::move(error));
        if (inputs_.previous != nullptr) {
            const auto before = inputs_.previous->lists.find(include.text);
            if (before != inputs_.previous->lists.end()) list = before->second;
        }
    }
    tables_->lists.emplace(include.text, std::move(list));
}

void Builder::add_relay_domains() {
    for (const Directive* line : settings_.table("relay_domain")) {
        for (const Word& word : line->words) {
            const Result<DomainPattern> pattern = DomainPattern::parse(word.text);
            if (!pattern) {
                errors_.add(word.position, pattern.error().text);
            } else if (pattern->kind == DomainPattern::Kind::Any) {
                errors_.add(word.position, "accepting mail for every domain from everybody is an open relay");
            } else if (const Rule* earlier = tables_->relay_domains.add(*pattern, Rule{word.position})) {
                errors_.add(word.position, fmt::format("{} is there already, at {}", pattern->text(),
                                                       earlier->position.line_text()));
            }
        }
    }
}

void Builder::add_routes() {
    for (const Directive* line : settings_.table("route")) {
        const Word& word = line->words.front();
        const Result<DomainPattern> pattern = DomainPattern::parse(word.text);
        if (!pattern) errors_.add(word.position, pattern.error().text);
        std::optional<Route> route = parse_route(*line, errors_);
        if (!pattern || !route) continue;
        if (const Route* earlier = tables_->routes.add(*pattern, std::move(*route))) {
            errors_.add(word.position, fmt::format("the route of {} is there already, at {}", pattern->text(),
                                                   earlier->position.line_text()));
        }
    }
}

}  // namespace

BuildResult build_tables(const config::Settings& settings, const BuildInputs& inputs) {
    return Builder(settings, inputs).run();
}

}  // namespace postrider::router
