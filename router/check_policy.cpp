#include "router/check_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "router/address_table.h"
#include "router/domain_table.h"
#include "router/policy_item.h"

namespace postrider::router {

namespace {

using config::Directive;
using config::Position;
using Kind = DomainPattern::Kind;

bool is_policy_line(const Directive& line) {
    return line.name == "class" || line.name == "default" || parse_policy_kind(line.name).has_value();
}

/// Whoever writes a policy is to say what becomes of all that it does not speak of. Without any line the
/// tables of domains say it.
void check_default(const config::Settings& settings, std::vector<std::string>& dangers) {
    const auto first = std::find_if(settings.tables.begin(), settings.tables.end(), is_policy_line);
    if (first == settings.tables.end()) return;
    const std::vector<const Directive*> defaults = settings.table("default");
    const bool given = std::any_of(defaults.begin(), defaults.end(), [](const Directive* line) {
        return line->words.front().text == kind_name(PolicyKind::Recipient);
    });
    if (given) return;
    dangers.push_back(
        fmt::format("{}: the policy has no default rcpt line; say what becomes of recipients of "
                    "whom no line speaks: default rcpt reject",
                    first->position.line_text()));
}

/// The lines about one domain, by the forms of their keys.
using Lines = std::array<const Position*, 3>;

const Position*& line_of(Lines& lines, Kind kind) {
    return lines.at(static_cast<std::size_t>(kind));
}

/// `*.d` holds for what neither `d` nor `.d` is about, which is nothing.
void check_trees(const config::Settings& settings, PolicyKind kind, std::vector<std::string>& dangers) {
    std::map<std::string, Lines> domains;
    for (const Directive* line : settings.table(kind_name(kind))) {
        const Result<AddressKey> key = AddressKey::parse(line->words.front().text);
        if (!key || key->kind != AddressKey::Kind::Domain || key->pattern.kind == Kind::Any) continue;
        line_of(domains[key->pattern.domain], key->pattern.kind) = &line->position;
    }
    for (auto& [domain, lines] : domains) {
        const Position* tree = line_of(lines, Kind::Tree);
        const Position* exact = line_of(lines, Kind::Exact);
        const Position* below = line_of(lines, Kind::SubDomains);
        if (tree == nullptr || exact == nullptr || below == nullptr) continue;
        dangers.push_back(fmt::format("{}: the lines at {} and {} leave nothing of *.{}", tree->line_text(),
                                      exact->line_text(), below->line_text(), domain));
    }
}

}  // namespace

std::vector<std::string> find_doubtful_policy(const config::Settings& settings) {
    std::vector<std::string> dangers;
    check_default(settings, dangers);
    for (const PolicyKind kind : {PolicyKind::Rdns, PolicyKind::Sender, PolicyKind::Recipient})
        check_trees(settings, kind, dangers);
    return dangers;
}

}  // namespace postrider::router
