#include "router/backup_domains.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace postrider::router {

namespace {

using config::Directive;
using config::Limit;
using config::Word;
using Kind = DomainPattern::Kind;

const Backup* earlier_line(const Tables& tables, DomainPattern pattern) {
    for (const Kind kind : {Kind::Exact, Kind::Tree}) {
        pattern.kind = kind;
        if (const Backup* backup = tables.backups.at(pattern)) return backup;
    }
    return nullptr;
}

/// Whether a `route` line is about all that the automatic route would be about.
bool has_own_route(const Tables& tables, DomainPattern pattern) {
    if (tables.routes.at(pattern) != nullptr) return true;
    const bool exact = std::exchange(pattern.kind, Kind::Tree) == Kind::Exact;
    return exact && tables.routes.at(pattern) != nullptr;
}

/// How long and how often delivery to a primary is tried. The waits are capped, so that the queue drains soon
/// after the primary is back.
BackupSchedule schedule_of(const config::Settings& settings) {
    const auto seconds = [](Milliseconds time) {
        return static_cast<std::uint32_t>(std::chrono::duration_cast<Seconds>(time).count());
    };
    const config::Limits& limits = settings.limits;
    BackupSchedule schedule;
    schedule.lifetime_seconds =
        seconds(std::max(limits.time(Limit::Lifetime), limits.time(Limit::MxbackupLifetime)));
    const std::uint32_t longest = seconds(limits.time(Limit::MxbackupRetryMax));
    for (const Milliseconds wait : settings.retry) {
        schedule.retry_seconds.push_back(std::clamp<std::uint32_t>(seconds(wait), 1, longest));
        if (schedule.retry_seconds.back() == longest) break;
    }
    return schedule;
}

void add_line(const Directive& line, bool enabled, Tables& tables, config::Errors& errors) {
    const Word& word = line.words.front();
    Result<DomainPattern> pattern = DomainPattern::parse(word.text);
    if (!pattern || pattern->kind != Kind::Exact) {
        errors.add(word.position, pattern ? "a plain domain; `subdomains` behind it means all below it, too"
                                          : pattern.error().text);
        return;
    }
    if (const Backup* earlier = earlier_line(tables, *pattern)) {
        errors.add(word.position,
                   fmt::format("{} is there already, at {}", pattern->text(), earlier->position.line_text()));
        return;
    }
    if (line.has_flag("subdomains")) pattern->kind = Kind::Tree;
    tables.backups.add(*pattern, Backup{enabled && !line.has_flag("disabled"), line.position});
    if (has_own_route(tables, *pattern)) return;
    Route route;
    route.position = line.position;
    tables.routes.add(*pattern, std::move(route));
}

}  // namespace

void add_backup_domains(const config::Settings& settings, Tables& tables, config::Errors& errors) {
    tables.backup_schedule = schedule_of(settings);
    for (const Directive* line : settings.table("mxbackup"))
        add_line(*line, settings.mxbackup_enabled, tables, errors);
}

}  // namespace postrider::router
