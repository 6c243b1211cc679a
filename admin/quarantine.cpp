#include "admin/quarantine.h"

#include <fmt/format.h>

#include <utility>

#include "admin/ask.h"
#include "admin/output.h"

namespace postrider::admin {

namespace {

Result<Answers<wire::QueueRequest, wire::QueueReply>> ask_quarantine(const config::Settings& settings,
                                                                     const wire::Quarantine& asked) {
    wire::QueueRequest request;
    *request.mutable_quarantine() = asked;
    return ask<wire::QueueReply>({"queue.sock", "queue-manager"}, std::move(request),
                                 settings.limits.time(config::Limit::IpcTimeout));
}

}  // namespace

Result<std::vector<wire::QueueEntry>> list_quarantine(const config::Settings& settings,
                                                      const wire::Selector& selector) {
    wire::Quarantine asked;
    *asked.mutable_selector() = selector;
    auto answers = ask_quarantine(settings, asked);
    if (!answers) return failure(answers.error());
    std::vector<wire::QueueEntry> entries;
    for (auto& answer : *answers) {
        for (auto& entry : *answer.reply.mutable_listing()->mutable_entries()) {
            // The recipients of a large message come in several entries, one after the other.
            if (!entries.empty() && entries.back().queue_id() == entry.queue_id()) {
                entries.back().mutable_recipients()->MergeFrom(entry.recipients());
            } else {
                entries.push_back(std::move(entry));
            }
        }
    }
    return entries;
}

Result<wire::Quarantined> change_quarantine(const config::Settings& settings,
                                            const wire::Quarantine& change) {
    auto answers = ask_quarantine(settings, change);
    if (!answers) return failure(answers.error());
    return answers->front().reply.quarantined();
}

std::string quarantine_text(const std::vector<wire::QueueEntry>& entries, UnixMillis now) {
    if (entries.empty()) return "Nothing is in quarantine.\n";
    std::string text;
    for (const auto& entry : entries) {
        const auto age = now > entry.arrival_ms() ? now - entry.arrival_ms() : 0;
        text += fmt::format("{}  {:>5}  <{}>  client {}  {} ({})\n", entry.queue_id(),
                            short_duration(Milliseconds(static_cast<std::int64_t>(age))),
                            printable(entry.sender()), printable(entry.client_address()),
                            printable(entry.quarantine_reason()), printable(entry.quarantine_rule()));
        for (const auto& recipient : entry.recipients())
            text += fmt::format("    <{}>\n", printable(recipient.address()));
    }
    return text + fmt::format("{} {}\n", entries.size(), entries.size() == 1 ? "message" : "messages");
}

}  // namespace postrider::admin
