#include "admin/quarantine.h"

#include <fmt/format.h>

#include <utility>

#include "admin/output.h"
#include "admin/queue_commands.h"

namespace postrider::admin {

Result<std::vector<wire::QueueEntry>> list_quarantine(const config::Settings& settings,
                                                      const wire::Selector& selector) {
    wire::QueueRequest request;
    *request.mutable_quarantine()->mutable_selector() = selector;
    return ask_for_listing(settings, std::move(request));
}

Result<wire::Quarantined> change_quarantine(const config::Settings& settings,
                                            const wire::Quarantine& change) {
    wire::QueueRequest request;
    *request.mutable_quarantine() = change;
    auto answers = ask_queue(settings, std::move(request));
    if (!answers) return failure(answers.error());
    return answers->back().reply.quarantined();
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
    return text + counted(entries.size(), "message") + "\n";
}

}  // namespace postrider::admin
