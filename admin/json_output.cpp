#include "admin/json_output.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <utility>

#include "admin/explain_text.h"
#include "admin/output.h"
#include "admin/overview_text.h"

namespace postrider::admin {

namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& json) {
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json to_json(const wire::QueueEntry& entry) {
    Json recipients = Json::array();
    for (const auto& recipient : entry.recipients()) {
        recipients.push_back({{"address", recipient.address()},
                              {"state", recipient.state()},
                              {"last_reply", recipient.last_reply()},
                              {"next_hop", recipient.next_hop()}});
    }
    Json json = {{"id", entry.queue_id()},
                 {"sender", entry.sender()},
                 {"size", entry.size()},
                 {"arrival", entry.arrival_ms()},
                 {"next_attempt", entry.next_attempt_ms()},
                 {"attempts", entry.attempts()},
                 {"state", entry.state()},
                 {"recipients", std::move(recipients)}};
    if (!entry.why().empty()) json["why"] = entry.why();
    if (!entry.quarantine_reason().empty()) {
        json["reason"] = entry.quarantine_reason();
        json["rule"] = entry.quarantine_rule();
        json["client"] = entry.client_address();
    }
    return json;
}

Json to_json(const ProcessStatus& daemon) {
    return {{"name", daemon.name},
            {"pid", daemon.pid},
            {"restarts", daemon.restarts},
            {"running", daemon.running},
            {"uid", daemon.uid},
            {"gid", daemon.gid},
            {"capabilities", daemon.capabilities},
            {"seccomp", daemon.seccomp},
            {"no_new_privileges", daemon.no_new_privileges},
            {"resident_kib", daemon.resident_kib},
            {"descriptors", daemon.descriptors}};
}

Json to_json(const wire::Client& client) {
    Json names = Json::array();
    for (const auto& name : client.unconfirmed_names())
        names.push_back(name);
    return {{"kind", client.kind()}, {"address", client.address()},
            {"name", client.name()}, {"unconfirmed_names", std::move(names)},
            {"helo", client.helo()}, {"login", client.login()},
            {"port", client.port()}, {"tls", client.tls()}};
}

std::string_view state_name(wire::ExplainedListing::State state) {
    if (state == wire::ExplainedListing::LISTED) return "listed";
    return state == wire::ExplainedListing::UNCLEAR ? "unclear" : "not listed";
}

Json to_json(const wire::ExplainedStage& stage) {
    const wire::Verdict& verdict = stage.verdict();
    Json json = {
        {"stage", stage.name()},  {"reached", stage.reached()},     {"action", action_name(verdict.action())},
        {"code", verdict.code()}, {"enhanced", verdict.enhanced()}, {"text", verdict.text()},
        {"rule", verdict.rule()}};
    if (stage.name() == "rcpt" && verdict.action() == wire::Verdict::ACCEPT) {
        json["fate"] = fate_name(verdict.fate());
        if (verdict.fate() != wire::Verdict::DELIVER) json["fate_rule"] = verdict.fate_rule();
        if (verdict.fate() == wire::Verdict::QUARANTINE) json["fate_reason"] = verdict.fate_reason();
    }
    Json lines = Json::array();
    for (const auto& line : stage.lines())
        lines.push_back(
            {{"kind", line.kind()}, {"default", line.is_default()}, {"position", line.position()}});
    json["lines"] = std::move(lines);
    if (stage.name() != "connect") return json;
    Json listings = Json::array();
    for (const auto& listing : stage.listings()) {
        listings.push_back({{"list", listing.allows() ? "allow" : "block"},
                            {"zone", listing.zone()},
                            {"state", state_name(listing.state())},
                            {"text", listing.text()}});
    }
    json["lists"] = std::move(listings);
    return json;
}

Json to_json(const wire::ExplainedLimit& limit) {
    Json json = {{"name", limit.name()}, {"value", limit.value()}, {"rule", limit.rule()}};
    // An item without a value, such as `authreq`, is there or not.
    if (limit.value().empty()) json["value"] = true;
    return json;
}

Json to_json(const wire::ExplainedRate& rate) {
    constexpr std::uint64_t kSecond = 1000;
    return {{"kind", rate.kind()},
            {"who", rate.who()},
            {"things", rate.things()},
            {"count", rate.count()},
            {"period_seconds", rate.period_ms() / kSecond},
            {"used", rate.used()},
            {"over", rate.rejects() ? "reject" : "defer"},
            {"rule", rate.rule()}};
}

/// The steps as a tree: those that one of them leads to are its `leads_to`.
Json tree_of(const std::vector<const wire::ExpansionStep*>& steps, std::size_t& next, std::uint32_t depth) {
    Json nodes = Json::array();
    while (next < steps.size() && steps[next]->depth() >= depth) {
        const wire::ExpansionStep& step = *steps[next++];
        nodes.push_back({{"address", step.address()},
                         {"step", step.step()},
                         {"detail", step.detail()},
                         {"rule", step.rule()},
                         {"leads_to", tree_of(steps, next, step.depth() + 1)}});
    }
    return nodes;
}

Json route_json(const wire::ExplainedDelivery& explained, const config::Settings& settings) {
    const wire::Delivery& delivery = explained.delivery();
    Json waits = Json::array();
    for (const Milliseconds wait : retry_of(delivery, settings))
        waits.push_back(std::chrono::duration_cast<Seconds>(wait).count());
    Json route = {{"way", explained.route()},
                  {"next_hop", delivery.next_hop()},
                  {"retry_seconds", std::move(waits)},
                  {"lifetime_seconds", nullptr},
                  {"hold", delivery.hold()},
                  {"backup", delivery.backup()},
                  {"schedule", schedule_text(delivery)}};
    const wire::RouteLimits& limits = delivery.limits();
    const auto bound = [&route](const char* name, std::uint32_t value) {
        route[name] = value == 0 ? Json() : Json(value);
    };
    bound("connections", limits.connections());
    bound("recipients", limits.recipients());
    bound("messages", limits.messages());
    bound("rate", limits.rate());
    bound("rate_seconds", limits.rate_seconds());
    if (!delivery.never_expires()) {
        route["lifetime_seconds"] =
            std::chrono::duration_cast<Seconds>(lifetime_of(delivery, settings)).count();
    }
    if (explained.route() != "mx") return route;
    Json hosts = Json::array();
    for (const auto& host : explained.exchangers()) {
        Json addresses = Json::array();
        for (const auto& address : host.addresses())
            addresses.push_back(address);
        hosts.push_back({{"preference", host.preference()},
                         {"host", host.host()},
                         {"addresses", std::move(addresses)},
                         {"more_addresses", host.more_addresses()},
                         {"is_us", host.is_us()},
                         {"unclear", host.unclear()}});
    }
    route["exchangers"] = std::move(hosts);
    route["more_exchangers"] = explained.more_exchangers();
    route["own_position"] = nullptr;
    if (const std::optional<OwnPosition> own = own_position(explained)) {
        route["own_position"] = {
            {"rank", own->rank}, {"preference", own->preference}, {"is_best", own->is_best}};
    }
    return route;
}

Json to_json(const wire::ExplainedDelivery& explained, const config::Settings& settings) {
    if (explained.has_failure()) {
        return {{"transport", "none"},
                {"error", explained.failure().text()},
                {"temporary", explained.failure().temporary()}};
    }
    const wire::Delivery& delivery = explained.delivery();
    Json json = {{"recipient", delivery.recipient()},
                 {"transport", transport_name(delivery.transport())},
                 {"rule", delivery.rule()}};
    if (delivery.has_sender()) json["sender"] = delivery.sender();
    if (delivery.transport() == wire::TRANSPORT_SMTP) json["route"] = route_json(explained, settings);
    if (delivery.transport() == wire::TRANSPORT_ERROR) json["error"] = delivery.error_text();
    if (!delivery.has_local()) return json;
    Json files = Json::array();
    for (const auto& path : delivery.local().forward_files())
        files.push_back(path);
    json["local"] = {{"user", delivery.local().user()},
                     {"uid", delivery.local().uid()},
                     {"path", delivery.local().path()},
                     {"forward_files", std::move(files)}};
    return json;
}

}  // namespace

std::string queue_json(const std::vector<wire::QueueEntry>& entries) {
    Json list = Json::array();
    for (const auto& entry : entries)
        list.push_back(to_json(entry));
    return text_of(list);
}

std::string status_json(const std::vector<ProcessStatus>& daemons, const Counters& counters) {
    Json processes = Json::array();
    for (const auto& daemon : daemons)
        processes.push_back(to_json(daemon));
    Json numbers = Json::object();
    for (const auto& [name, value] : counters)
        numbers[name] = value;
    Json status;
    status["daemons"] = std::move(processes);
    status["counters"] = std::move(numbers);
    return text_of(status);
}

std::string steered_json(const wire::Steered& steered, bool dry_run) {
    return text_of({{"messages", steered.messages()},
                    {"changed", steered.changed()},
                    {"failed", steered.failed()},
                    {"gone", steered.gone()},
                    {"dry_run", dry_run}});
}

std::string message_json(const queue_file::QueueFile& file) {
    const wire::Envelope& envelope = file.envelope;
    Json recipients = Json::array();
    for (int n = 0; n < envelope.recipients_size(); ++n) {
        recipients.push_back({{"address", envelope.recipients(n).address()},
                              {"resolved", file.journal.resolved(static_cast<std::size_t>(n))}});
    }
    Json deliveries = Json::array();
    for (const auto& [number, state] : file.journal.deliveries()) {
        deliveries.push_back({{"number", number},
                              {"recipient", state.delivery.recipient()},
                              {"state", phase_name(state.phase)},
                              {"next_hop", state.delivery.next_hop()},
                              {"rule", state.delivery.rule()},
                              {"attempts", state.attempts},
                              {"status", state.last_result.status()},
                              {"reply", state.last_result.text()},
                              {"host", state.last_result.remote_host()}});
    }
    Json json = {{"id", file.header.id.text()},
                 {"arrival", envelope.arrival_ms()},
                 {"sender", envelope.sender()},
                 {"size", file.header.content_length},
                 {"client", envelope.client_address()},
                 {"client_name", envelope.client_name()},
                 {"helo", envelope.helo()},
                 {"protocol", envelope.protocol()},
                 {"login", envelope.login()},
                 {"recipients", std::move(recipients)},
                 {"deliveries", std::move(deliveries)}};
    if (file.journal.held() != nullptr) json["held_by_uid"] = file.journal.held()->by();
    return text_of(json);
}

std::string destinations_json(const std::vector<wire::DestinationState>& destinations) {
    Json json = Json::array();
    for (const auto& each : destinations) {
        json.push_back({{"transport", transport_name(each.transport())},
                        {"next_hop", each.next_hop()},
                        {"state", each.state()},
                        {"window", each.window()},
                        {"in_flight", each.in_flight()},
                        {"ready", each.ready()},
                        {"waiting", each.waiting()},
                        {"last_failure", each.last_failure_ms()},
                        {"last_reply", each.last_reply()},
                        {"next_probe", each.next_probe_ms()},
                        {"suspended", each.suspended()}});
    }
    return text_of(json);
}

std::string shape_json(const wire::Shape& shape) {
    const auto row_json = [](const wire::ShapeRow& row) {
        Json counts = Json::array();
        for (const std::uint64_t count : row.counts())
            counts.push_back(count);
        return Json{{"name", row.name()}, {"counts", std::move(counts)}};
    };
    Json rows = Json::array();
    for (const auto& row : shape.rows())
        rows.push_back(row_json(row));
    Json total = row_json(shape.total());
    return text_of({{"minutes", {5, 10, 20, 40, 80, 160, 320, 640, 1280, nullptr}},
                    {"total", std::move(total["counts"])},
                    {"rows", std::move(rows)}});
}

std::string trace_json(const std::string& queue_id, const std::vector<wire::TraceEvent>& events) {
    Json list = Json::array();
    for (const auto& event : events) {
        Json fields = Json::object();
        for (const auto& field : event.fields()) {
            // One that there are several of is a list.
            Json& value = fields[field.name()];
            if (value.is_null())
                value = field.value();
            else if (value.is_array())
                value.push_back(field.value());
            else
                value = Json::array({value, field.value()});
        }
        list.push_back({{"time", event.time_ms()}, {"event", event.event()}, {"fields", std::move(fields)}});
    }
    return text_of({{"id", queue_id}, {"events", std::move(list)}});
}

std::string suspended_json(const wire::Suspended& suspended) {
    Json list = Json::array();
    for (const auto& domain : suspended.domains()) {
        list.push_back({{"domain", domain.domain()},
                        {"since", domain.since_ms()},
                        {"by_uid", domain.by()},
                        {"messages", domain.messages()}});
    }
    return text_of(list);
}

std::string flushed_json(std::uint64_t messages) {
    Json flushed;
    flushed["messages"] = messages;
    return text_of(flushed);
}

std::string backup_list_json(const BackupList& list) {
    Json lines = Json::array();
    for (const BackupLine& line : list.lines) {
        lines.push_back({{"domain", line.domain},
                         {"subdomains", line.subdomains},
                         {"enabled", !line.disabled},
                         {"position", line.position.line_text()}});
    }
    Json whole;
    whole["enabled"] = list.enabled;
    whole["domains"] = std::move(lines);
    return text_of(whole);
}

std::string explain_json(const Explanation& explanation, const ExplainCase& what,
                         const config::Settings& settings) {
    Json json = {{"recipient", what.recipient},
                 {"sender", nullptr},
                 {"refused", explanation.refused},
                 {"deferred", explanation.deferred},
                 {"client", nullptr}};
    if (what.has_sender) json["sender"] = what.sender;
    Json stages = Json::array();
    Json limits = Json::array();
    Json rates = Json::array();
    Json deliveries = Json::array();
    std::vector<const wire::ExpansionStep*> steps;
    for (const wire::ExplainedItem& item : explanation.items) {
        if (item.has_client()) json["client"] = to_json(item.client());
        if (item.has_stage()) stages.push_back(to_json(item.stage()));
        if (item.has_limit()) limits.push_back(to_json(item.limit()));
        if (item.has_rate()) rates.push_back(to_json(item.rate()));
        if (item.has_step()) steps.push_back(&item.step());
        if (item.has_delivery()) deliveries.push_back(to_json(item.delivery(), settings));
    }
    std::size_t next = 0;
    json["stages"] = std::move(stages);
    json["limits"] = std::move(limits);
    json["rates"] = std::move(rates);
    json["expansion"] = tree_of(steps, next, 0);
    json["deliveries"] = std::move(deliveries);
    return text_of(json);
}

std::string etrn_json(const EtrnRequest& request, const EtrnAnswers& answers) {
    Json replies = Json::array();
    for (const auto& [name, reply] : answers.replies) {
        std::string text;
        for (const std::string& line : reply.lines)
            text += (text.empty() ? "" : "\n") + line;
        replies.push_back({{"name", name},
                           {"code", reply.code.value()},
                           {"status", reply.enhanced ? reply.enhanced->to_string() : std::string()},
                           {"text", std::move(text)}});
    }
    return text_of(Json{{"host", request.host},
                        {"port", request.port},
                        {"replies", std::move(replies)},
                        {"error", answers.trouble}});
}

std::string lines_json(const std::vector<std::string>& lines) {
    Json list = Json::array();
    for (const auto& line : lines)
        list.push_back(line);
    return text_of(list);
}

}  // namespace postrider::admin
