#include "admin/overview_verbs.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "admin/json_output.h"
#include "admin/output.h"
#include "admin/overview_text.h"
#include "admin/queue_commands.h"

namespace postrider::admin {

namespace {

int change_domains(const config::Settings& settings, const Arguments& arguments, bool resume) {
    wire::SuspendDomains asked;
    for (const auto& domain : arguments.domains)
        asked.add_domains(domain);
    asked.set_resume(resume);
    asked.set_dry_run(arguments.dry_run);
    asked.set_login(caller_login());
    auto changed = suspend_domains(settings, asked);
    if (!changed) return report(changed.error());
    if (arguments.json) {
        fmt::print("{}", suspended_json(*changed));
        return 0;
    }
    const char* would = arguments.dry_run ? "would be " : "";
    for (const auto& domain : changed->domains()) {
        fmt::print("{} {}{}; {} known to wait\n", printable(domain.domain()), would,
                   resume ? "resumed" : "suspended", counted(domain.messages(), "message"));
    }
    const auto same = arguments.domains.size() - static_cast<std::size_t>(changed->domains_size());
    if (same > 0)
        fmt::print("{} {} before\n", counted(same, "domain"), resume ? "not suspended" : "suspended");
    return 0;
}

}  // namespace

int destination_list(const config::Settings& settings, const Arguments& arguments) {
    auto found = destinations(settings, "");
    if (!found) return report(found.error());
    fmt::print("{}",
               arguments.json ? destinations_json(*found) : destinations_text(*found, unix_millis_now()));
    return 0;
}

int destination_show(const config::Settings& settings, const Arguments& arguments) {
    auto found = destinations(settings, arguments.name);
    if (!found) return report(found.error());
    if (arguments.json) fmt::print("{}", destinations_json(*found));
    if (found->empty()) {
        fmt::print(stderr, "postrider: nothing is known of {}: there was no attempt lately, or no failure\n",
                   printable(arguments.name));
        return kExitUnavailable;
    }
    if (!arguments.json) fmt::print("{}", destination_text(*found, unix_millis_now()));
    return 0;
}

int queue_shape_table(const config::Settings& settings, const Arguments& arguments) {
    auto shape = queue_shape(settings, arguments.senders);
    if (!shape) return report(shape.error());
    const bool bars = ::isatty(STDOUT_FILENO) == 1;
    fmt::print("{}", arguments.json ? shape_json(*shape) : shape_text(*shape, arguments.top, bars));
    return 0;
}

int trace_message(const config::Settings& settings, const Arguments& arguments) {
    auto events = trace(settings, arguments.name);
    if (!events) return report(events.error());
    fmt::print("{}", arguments.json ? trace_json(arguments.name, *events) : trace_text(*events));
    return 0;
}

int domain_list(const config::Settings& settings, const Arguments& arguments) {
    auto suspended = suspended_domains(settings);
    if (!suspended) return report(suspended.error());
    fmt::print("{}",
               arguments.json ? suspended_json(*suspended) : suspended_text(*suspended, unix_millis_now()));
    return 0;
}

int domain_suspend(const config::Settings& settings, const Arguments& arguments) {
    return change_domains(settings, arguments, false);
}

int domain_resume(const config::Settings& settings, const Arguments& arguments) {
    return change_domains(settings, arguments, true);
}

}  // namespace postrider::admin
