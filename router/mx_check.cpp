#include "router/mx_check.h"

#include <fmt/format.h>

#include <utility>

#include "router/way_out.h"

namespace postrider::router {

namespace {

/// Writes the report of one domain.
class Check {
  public:
    Check(const std::string& domain, const Tables& tables, Facts& facts)
        : domain_(domain), tables_(tables), facts_(facts) {}

    MxReport run() {
        if (const LocalDomain* local = tables_.local_domain(domain_)) {
            add("{} is local, at {}: its mail ends here", domain_, local->position.line_text());
            return std::move(report_);
        }
        found_ = find_exchangers(domain_, tables_, facts_);
        add("exchangers of {}:", domain_);
        for (const std::string& line : exchanger_lines(found_))
            add("  {}", line);
        check_domain();
        if (found_.domain == MailDomain::Good || found_.domain == MailDomain::NoHost) check_position();
        check_acceptance();
        check_route();
        return std::move(report_);
    }

  private:
    template <typename... Values>
    void add(fmt::format_string<Values...> format, Values&&... values) {
        report_.lines.push_back(fmt::format(format, std::forward<Values>(values)...));
    }
    template <typename... Values>
    void add_problem(fmt::format_string<Values...> format, Values&&... values) {
        report_.has_problems = true;
        report_.lines.push_back("warning: " + fmt::format(format, std::forward<Values>(values)...));
    }

    void check_domain() {
        for (const Exchanger& host : found_.hosts)
            report_.unclear |= host.unclear;
        switch (found_.domain) {
            case MailDomain::Good:
                if (found_.implicit) add("there is no MX record: the domain is its own exchanger");
                break;
            case MailDomain::NoSuchDomain:
                add_problem("the domain does not exist");
                break;
            case MailDomain::NullMx:
                add_problem("the domain says that it takes no mail");
                break;
            case MailDomain::NoHost:
                add_problem("none of the exchangers has an address");
                break;
            case MailDomain::Unclear:
                add("the DNS does not answer now");
                report_.unclear = true;
                break;
        }
    }

    void check_position() {
        const Exchanger* own = found_.us();
        if (own == nullptr) {
            add_problem("this host ({}) is none of the exchangers", tables_.self.hostname());
            return;
        }
        const std::vector<const Exchanger*> better = found_.better_than_us();
        if (better.empty()) {
            add_problem("this host is the best exchanger, but the domain is not local: there is no way on");
            return;
        }
        std::string names;
        bool any_address = false;
        for (const Exchanger* host : better) {
            names += fmt::format("{}{}", names.empty() ? "" : ", ", host->host);
            any_address |= !host->addresses.empty();
        }
        add("this host is an exchanger of preference {}; mail is passed on to {}", own->preference, names);
        if (!any_address && !report_.unclear) add_problem("no better exchanger has an address");
    }

    void check_acceptance() {
        const PolicyRule* rule = tables_.policy.recipient(Address{{}, domain_}, std::nullopt);
        if (const Rule* relayed = tables_.relay_domains.find(domain_)) {
            add("mail for it is accepted from everybody, at {}", relayed->position.line_text());
            return;
        }
        if (rule != nullptr && rule->grants.relay) {
            add("mail for it is accepted from everybody, at {}", rule->position.line_text());
            return;
        }
        if (rule == nullptr) rule = tables_.policy.fallback(PolicyKind::Recipient);
        if (rule != nullptr && rule->grants.mx.value_or(MxRule::Off) != MxRule::Off) {
            add("mail for it is accepted as the DNS says, at {}", rule->position.line_text());
            return;
        }
        add_problem("mail for it is accepted from clients that may relay only");
    }

    void check_route() {
        const WayOut way = find_way_out(Address{{}, domain_}, tables_, facts_);
        const Route* route = way.route;
        if (route == nullptr || route->kind == Route::Kind::Mx) {
            add("mail for it goes out by MX{}",
                route == nullptr ? std::string() : ", at " + route->position.line_text());
            return;
        }
        const std::string line = route->position.line_text();
        if (route->kind != Route::Kind::Via) {
            add_problem("mail for it goes nowhere, at {}", line);
            return;
        }
        add("mail for it goes out via {}, at {}", route->next_hop, line);
        // The line for every other domain is the one that a smarthost has.
        if (route == default_route(tables_) && found_.us() != nullptr) {
            add_problem(
                "{} may look the exchangers up as well and send the mail back here; "
                "it takes \"route {} mx\"",
                route->next_hop, domain_);
        }
    }

    const std::string& domain_;
    const Tables& tables_;
    Facts& facts_;
    Exchangers found_;
    MxReport report_;
};

}  // namespace

std::vector<std::string> exchanger_lines(const Exchangers& exchangers) {
    std::vector<std::string> lines;
    for (const Exchanger& host : exchangers.hosts) {
        std::string line = fmt::format("{} {}", host.preference, host.host);
        for (const config::IpAddress& address : host.addresses)
            line += " " + address.text();
        if (host.unclear) line += " (the DNS does not answer)";
        if (host.addresses.empty() && !host.unclear) line += " (no address)";
        if (host.is_us) line += " = this host";
        lines.push_back(std::move(line));
    }
    if (!exchangers.complete) lines.emplace_back("and more");
    return lines;
}

MxReport check_mx(const std::string& domain, const Tables& tables, Facts& facts) {
    return Check(domain, tables, facts).run();
}

}  // namespace postrider::router
