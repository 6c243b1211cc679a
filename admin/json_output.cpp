#include "admin/json_output.h"

#include <nlohmann/json.hpp>

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

std::string lines_json(const std::vector<std::string>& lines) {
    Json list = Json::array();
    for (const auto& line : lines)
        list.push_back(line);
    return text_of(list);
}

}  // namespace postrider::admin
