#include "admin/overview_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "admin/explain_text.h"
#include "admin/output.h"

namespace postrider::admin {

namespace {

constexpr std::array<std::string_view, 10> kAges = {"5m",   "10m",  "20m",  "40m",   "80m",
                                                    "160m", "320m", "640m", "1280m", "1280+"};
constexpr std::size_t kNameWidth = 32;
constexpr std::uint64_t kBarWidth = 20;

std::string ago(UnixMillis time, UnixMillis now) {
    if (time == 0) return "-";
    const UnixMillis age = now > time ? now - time : 0;
    return short_duration(Milliseconds(static_cast<std::int64_t>(age))) + " ago";
}

std::string until(UnixMillis time, UnixMillis now) {
    if (time == 0) return "-";
    if (time <= now) return "now";
    return "in " + short_duration(Milliseconds(static_cast<std::int64_t>(time - now)));
}

std::uint64_t sum_of(const wire::ShapeRow& row) {
    return std::accumulate(row.counts().begin(), row.counts().end(), std::uint64_t{0});
}

std::string shape_line(std::string_view name, const wire::ShapeRow& row) {
    std::string text = fmt::format("{:>{}} {:>7}", name, kNameWidth, sum_of(row));
    for (const std::uint64_t count : row.counts())
        text += fmt::format(" {:>6}", count);
    return text;
}

std::string short_name(const std::string& name) {
    std::string clean = printable(name.empty() ? "<>" : name);
    if (clean.size() <= kNameWidth) return clean;
    // The end of a domain says more than its beginning.
    return "..." + clean.substr(clean.size() - kNameWidth + 3);
}

}  // namespace

std::string destinations_text(const std::vector<wire::DestinationState>& destinations, UnixMillis now) {
    if (destinations.empty()) return "No destination is in use.\n";
    std::string text = fmt::format("{:<9} {:<32} {:<9} {:>6} {:>9} {:>6} {:>8} {:>9}\n", "TRANSPORT",
                                   "NEXT HOP", "STATE", "WINDOW", "IN FLIGHT", "READY", "WAITING", "PROBE");
    for (const auto& each : destinations) {
        text += fmt::format("{:<9} {:<32} {:<9} {:>6} {:>9} {:>6} {:>8} {:>9}\n",
                            transport_name(each.transport()), printable(each.next_hop()),
                            each.suspended() ? "suspended" : each.state(), each.window(), each.in_flight(),
                            each.ready(), each.waiting(), until(each.next_probe_ms(), now));
        if (!each.last_reply().empty())
            text +=
                fmt::format("    {}: {}\n", ago(each.last_failure_ms(), now), printable(each.last_reply()));
    }
    return text + counted(destinations.size(), "destination") + "\n";
}

std::string destination_text(const std::vector<wire::DestinationState>& destinations, UnixMillis now) {
    std::string text;
    for (const auto& each : destinations) {
        text += fmt::format(
            "transport     {}\nnext hop      {}\nstate         {}{}\nwindow        {}\nin flight     {}\n"
            "ready         {}\nwaiting       {}\nlast failure  {}\n",
            transport_name(each.transport()), printable(each.next_hop()), each.state(),
            each.suspended() ? ", suspended" : "", each.window(), each.in_flight(), each.ready(),
            each.waiting(), ago(each.last_failure_ms(), now));
        if (!each.last_reply().empty())
            text += fmt::format("last reply    {}\n", printable(each.last_reply()));
        if (each.next_probe_ms() != 0)
            text += fmt::format("next probe    {}\n", until(each.next_probe_ms(), now));
    }
    return text;
}

std::string shape_text(const wire::Shape& shape, std::size_t top, bool bars) {
    std::string text = fmt::format("{:>{}} {:>7}", "", kNameWidth, "T");
    for (const std::string_view age : kAges)
        text += fmt::format(" {:>6}", age);
    text += '\n' + shape_line("TOTAL", shape.total()) + '\n';
    std::vector<const wire::ShapeRow*> rows;
    for (const auto& row : shape.rows())
        rows.push_back(&row);
    std::stable_sort(rows.begin(), rows.end(), [](const wire::ShapeRow* left, const wire::ShapeRow* right) {
        return sum_of(*left) > sum_of(*right);
    });
    const std::size_t shown = top == 0 ? rows.size() : std::min(top, rows.size());
    const std::uint64_t longest = rows.empty() ? 0 : sum_of(*rows.front());
    for (std::size_t i = 0; i < shown; ++i) {
        text += shape_line(short_name(rows[i]->name()), *rows[i]);
        if (bars && longest > 0) {
            const std::uint64_t length = std::max<std::uint64_t>(sum_of(*rows[i]) * kBarWidth / longest, 1);
            text += ' ' + std::string(length, '#');
        }
        text += '\n';
    }
    if (shown < rows.size()) text += fmt::format("and {} more; --top 0 shows all\n", rows.size() - shown);
    return text;
}

std::string trace_text(const std::vector<wire::TraceEvent>& events) {
    std::string text;
    for (const auto& event : events) {
        text += event.time_ms() == 0 ? std::string(24, ' ') : utc_time(event.time_ms(), true);
        text += "  " + printable(event.event());
        for (const auto& field : event.fields()) {
            const bool is_plain =
                !field.value().empty() && field.value().find_first_of(" \"") == std::string::npos;
            const char* quote = is_plain ? "" : "\"";
            text +=
                fmt::format(" {}={}{}{}", printable(field.name()), quote, printable(field.value()), quote);
        }
        text += '\n';
    }
    return text;
}

std::string suspended_text(const wire::Suspended& suspended, UnixMillis now) {
    if (suspended.domains().empty()) return "No domain is suspended.\n";
    std::string text;
    for (const auto& domain : suspended.domains()) {
        text += fmt::format("{:<40} since {} by uid {}; {} known to wait\n", printable(domain.domain()),
                            ago(domain.since_ms(), now), domain.by(), counted(domain.messages(), "message"));
    }
    return text;
}

}  // namespace postrider::admin
