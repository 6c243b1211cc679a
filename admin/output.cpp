#include "admin/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

namespace postrider::admin {

namespace {

std::string size_text(std::uint64_t bytes) {
    constexpr std::uint64_t kKiB = 1024;
    if (bytes < 10 * kKiB) return fmt::format("{}", bytes);
    if (bytes < 10 * kKiB * kKiB) return fmt::format("{}k", bytes / kKiB);
    return fmt::format("{}M", bytes / kKiB / kKiB);
}

Milliseconds between(UnixMillis from, UnixMillis to) {
    return Milliseconds(to > from ? static_cast<std::int64_t>(to - from) : 0);
}

std::string recipient_lines(const wire::QueueEntry& entry) {
    std::string text;
    for (const auto& recipient : entry.recipients()) {
        text += fmt::format("    {:<9} <{}>", recipient.state(), printable(recipient.address()));
        if (!recipient.last_reply().empty()) text += fmt::format(": {}", printable(recipient.last_reply()));
        text += '\n';
    }
    return text;
}

}  // namespace

std::string_view phase_name(queue_file::DeliveryPhase phase) {
    switch (phase) {
        case queue_file::DeliveryPhase::Delivered:
            return "delivered";
        case queue_file::DeliveryPhase::Failed:
            return "failed";
        case queue_file::DeliveryPhase::Expanding:
            return "expanding";
        case queue_file::DeliveryPhase::Waiting:
            break;
    }
    return "waiting";
}

std::string printable(std::string_view text) {
    std::string clean(text);
    std::replace_if(
        clean.begin(), clean.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; },
        '?');
    return clean;
}

std::string utc_time(UnixMillis time, bool milliseconds) {
    constexpr UnixMillis kSecond = 1000;
    const auto seconds = static_cast<std::time_t>(time / kSecond);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[32];
    static_cast<void>(std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts));
    return milliseconds ? fmt::format("{}.{:03}Z", text, time % kSecond) : fmt::format("{}Z", text);
}

std::string short_duration(Milliseconds duration) {
    const auto seconds = duration.count() / 1000;
    constexpr std::int64_t kMinute = 60;
    constexpr std::int64_t kHour = 60 * kMinute;
    constexpr std::int64_t kDay = 24 * kHour;
    if (seconds < 2 * kMinute) return fmt::format("{}s", seconds);
    if (seconds < 2 * kHour) return fmt::format("{}m", seconds / kMinute);
    if (seconds < 2 * kDay) return fmt::format("{}h", seconds / kHour);
    return fmt::format("{}d", seconds / kDay);
}

std::string counted(std::uint64_t number, std::string_view noun) {
    return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

std::string queue_text(const std::vector<wire::QueueEntry>& entries, UnixMillis now) {
    if (entries.empty()) return "The queue is empty.\n";
    std::string text = fmt::format("{:<16}  {:>7}  {:>5}  {:<11}  {:>5}  {}\n", "ID", "SIZE", "AGE", "STATE",
                                   "NEXT", "SENDER");
    for (const auto& entry : entries) {
        // What is kept back has no next attempt.
        const bool is_kept = !entry.why().empty();
        const std::string next = is_kept ? "-"
                                 : entry.next_attempt_ms() > now
                                     ? short_duration(between(now, entry.next_attempt_ms()))
                                     : std::string("now");
        text += fmt::format("{:<16}  {:>7}  {:>5}  {:<11}  {:>5}  <{}>\n", entry.queue_id(),
                            size_text(entry.size()), short_duration(between(entry.arrival_ms(), now)),
                            entry.state(), next, printable(entry.sender()));
        if (is_kept) text += fmt::format("    ({})\n", printable(entry.why()));
        text += recipient_lines(entry);
    }
    return text + counted(entries.size(), "message") + "\n";
}

std::string kept_text(const std::vector<wire::QueueEntry>& entries, UnixMillis now) {
    if (entries.empty()) return "There is none.\n";
    std::string text;
    for (const auto& entry : entries) {
        text += fmt::format("{}  {:>7}  {:>5}  {}  <{}>\n    ({})\n", entry.queue_id(),
                            size_text(entry.size()), short_duration(between(entry.arrival_ms(), now)),
                            entry.state(), printable(entry.sender()), printable(entry.why()));
        text += recipient_lines(entry);
    }
    return text + counted(entries.size(), "message") + "\n";
}

std::string message_text(const queue_file::QueueFile& file, UnixMillis now) {
    const wire::Envelope& envelope = file.envelope;
    std::string text = fmt::format(
        "id          {}\narrival     {} ({} ago)\nsender      <{}>\nsize        {}\nclient      {} [{}] helo "
        "{}\n"
        "protocol    {}\n",
        file.header.id.text(), utc_time(envelope.arrival_ms()),
        short_duration(between(envelope.arrival_ms(), now)), printable(envelope.sender()),
        file.header.content_length, printable(envelope.client_name()), printable(envelope.client_address()),
        printable(envelope.helo()), printable(envelope.protocol()));
    if (!envelope.login().empty()) text += fmt::format("login       {}\n", printable(envelope.login()));
    if (!envelope.quarantine_rule().empty()) {
        text += fmt::format("quarantine  {} ({})\n", printable(envelope.quarantine_reason()),
                            printable(envelope.quarantine_rule()));
    }
    if (const auto* held = file.journal.held()) {
        text += fmt::format("held        by uid {} since {}\n", held->by(), utc_time(held->time_ms()));
    }
    if (file.journal.requeued_ms() != 0)
        text += fmt::format("requeued    {}\n", utc_time(file.journal.requeued_ms()));
    for (int n = 0; n < envelope.recipients_size(); ++n) {
        const bool resolved = file.journal.resolved(static_cast<std::size_t>(n));
        text += fmt::format("recipient   <{}>{}\n", printable(envelope.recipients(n).address()),
                            resolved ? "" : " (not resolved yet)");
    }
    for (const auto& [number, state] : file.journal.deliveries()) {
        text += fmt::format("delivery    {} <{}> {} via {}, {}", number,
                            printable(state.delivery.recipient()), phase_name(state.phase),
                            printable(state.delivery.next_hop()), counted(state.attempts, "attempt"));
        const bool has_time = state.next_attempt_ms > now && !state.delivery.hold();
        if (state.phase == queue_file::DeliveryPhase::Waiting && has_time) {
            text += fmt::format(", next in {}", short_duration(between(now, state.next_attempt_ms)));
        }
        text += '\n';
        const auto& last = state.last_result;
        if (!last.text().empty()) {
            text += fmt::format("            {} {} {}\n", printable(last.status()), printable(last.text()),
                                printable(last.remote_host()));
        }
    }
    return text;
}

std::string status_text(const std::vector<ProcessStatus>& daemons, const Counters& counters) {
    std::string text =
        fmt::format("{:<16} {:>8} {:>8} {:>7} {:>16} {:>7} {:>5} {:>5} {:>9}\n", "DAEMON", "PID", "RESTARTS",
                    "UID", "CAPABILITIES", "SECCOMP", "NNP", "FDS", "MEMORY");
    for (const auto& daemon : daemons) {
        if (!daemon.running) {
            text += fmt::format("{:<16} {:>8} {:>8} gone\n", daemon.name, daemon.pid, daemon.restarts);
            continue;
        }
        text += fmt::format("{:<16} {:>8} {:>8} {:>7} {:>16} {:>7} {:>5} {:>5} {:>8}k\n", daemon.name,
                            daemon.pid, daemon.restarts, daemon.uid, daemon.capabilities,
                            daemon.seccomp == 2 ? "filter" : "none", daemon.no_new_privileges ? "yes" : "no",
                            daemon.descriptors < 0 ? "?" : std::to_string(daemon.descriptors),
                            daemon.resident_kib);
    }
    if (daemons.empty()) text = "No daemon was started by postriderd here.\n";
    for (const auto& [name, value] : counters)
        text += fmt::format("{:<32} {:>12}\n", name, value);
    return text;
}

}  // namespace postrider::admin
