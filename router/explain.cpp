#include "router/explain.h"

#include <fmt/format.h>

#include <utility>

#include "libcommon/config/values.h"
#include "libcommon/ipc/channel.h"
#include "libcommon/mail/utf8.h"
#include "router/resolve.h"
#include "router/session_policy.h"

namespace postrider::router {

namespace {

std::string verdict_text(const Verdict& verdict) {
    if (verdict.action == Verdict::Action::Accept) return fmt::format("accepted ({})", verdict.rule);
    return fmt::format("{} {} {} ({})", verdict.code, verdict.enhanced, verdict.text, verdict.rule);
}

std::string client_text(const Client& client) {
    if (client.local) return fmt::format("local user {}", client.login);
    std::string text = client.address ? client.address->text() : "unknown";
    return client.login.empty() ? text : fmt::format("{} logged in as {}", text, client.login);
}

std::string target_text(const wire::Delivery& delivery) {
    const wire::LocalTarget& local = delivery.local();
    switch (delivery.transport()) {
        case wire::TRANSPORT_SMTP:
            return fmt::format("smtp to {}", delivery.next_hop());
        case wire::TRANSPORT_MAILDIR:
            return fmt::format("maildir {} of {} (uid {})", local.path(), local.user(), local.uid());
        case wire::TRANSPORT_PROGRAM:
            return fmt::format("program {} as {} (uid {})", local.path(), local.user(), local.uid());
        case wire::TRANSPORT_FILE:
            return fmt::format("file {} as {} (uid {})", local.path(), local.user(), local.uid());
        case wire::TRANSPORT_DISCARD:
            return "discarded";
        case wire::TRANSPORT_ERROR:
            return fmt::format("fails: {}", delivery.error_text());
        default:
            return "unknown transport";
    }
}

std::string schedule_text(const wire::Delivery& delivery) {
    std::string text;
    std::vector<Milliseconds> waits;
    for (const std::uint32_t seconds : delivery.retry_seconds())
        waits.emplace_back(Seconds(seconds));
    if (!waits.empty()) text += fmt::format(" retry={}", config::format_durations(waits));
    if (delivery.lifetime_seconds() > 0) {
        text += fmt::format(" lifetime={}", config::format_duration(Seconds(delivery.lifetime_seconds())));
    }
    return text;
}

std::string delivery_text(const wire::Delivery& delivery) {
    std::string text =
        fmt::format("  {}: {}{}", delivery.recipient(), target_text(delivery), schedule_text(delivery));
    if (delivery.has_sender()) text += fmt::format(" from <{}>", delivery.sender());
    return text + fmt::format(" ({})", delivery.rule());
}

void note(const Verdict& verdict, ExplainedAnswer& answer) {
    answer.refused |= verdict.action == Verdict::Action::Reject;
    answer.deferred |= verdict.action == Verdict::Action::Defer;
}

/// Verdict on the client, the policy of its session, and the lines that this comes from.
void explain_client(const Client& client, const Tables& tables, ExplainedAnswer& answer) {
    const ConnectDecision decision = decide_connect(client, tables);
    note(decision.verdict, answer);
    answer.lines.push_back(fmt::format("client {}: {}, {}", client_text(client),
                                       verdict_text(decision.verdict),
                                       decision.policy.relay() ? "may relay" : "may not relay"));
    answer.lines.push_back(fmt::format("session: {}", policy_text(decision.policy)));
    const ClientRules rules = rules_for(client, tables);
    for (const SessionLine& line : session_lines(client, rules, tables)) {
        answer.lines.push_back(fmt::format("  {}{} line: {}", line.is_default ? "default " : "",
                                           kind_name(line.kind), line.rule->position.line_text()));
    }
}

/// Verdict, expansion and deliveries of the recipient.
void explain_recipient(const wire::ExplainQuestion& question, const Client& client, const Tables& tables,
                       Facts& facts, ExplainedAnswer& answer) {
    std::vector<TraceLine> trace;
    const RecipientDecision decision =
        decide_recipient(client, question.sender(), question.recipient(), tables, facts);
    wire::Recipient recipient;
    recipient.set_address(question.recipient());
    const wire::ResolvedRecipient resolved =
        resolve_recipient(0, recipient, question.sender(), tables, facts, &trace);
    note(decision.verdict, answer);
    answer.lines.push_back(
        fmt::format("recipient <{}>: {}", question.recipient(), verdict_text(decision.verdict)));
    answer.lines.emplace_back("expansion:");
    for (const TraceLine& line : trace)
        answer.lines.push_back(fmt::format("  {:{}}{}", "", 2 * line.depth, line.text));
    answer.lines.emplace_back("deliveries:");
    if (resolved.has_failure()) {
        const wire::Failure& failed = resolved.failure();
        (failed.temporary() ? answer.deferred : answer.refused) = true;
        answer.lines.push_back(
            fmt::format("  none, {}: {}", failed.temporary() ? "for now" : "for good", failed.text()));
    }
    for (const wire::Delivery& delivery : resolved.deliveries()) {
        answer.refused |= delivery.transport() == wire::TRANSPORT_ERROR;
        answer.lines.push_back(delivery_text(delivery));
    }
}

/// Verdict on the sender.
void explain_sender(const std::string& sender, const Client& client, const Tables& tables, Facts& facts,
                    ExplainedAnswer& answer) {
    const Verdict verdict = decide_sender(client, sender, tables, facts);
    note(verdict, answer);
    answer.lines.push_back(fmt::format("sender <{}>: {}", sender, verdict_text(verdict)));
}

}  // namespace

ExplainedAnswer explain(const wire::ExplainQuestion& question, const Client* client, const Tables& tables,
                        Facts& facts) {
    ExplainedAnswer answer;
    const Client stranger;
    if (client != nullptr) {
        explain_client(*client, tables, answer);
    }
    if (client == nullptr) client = &stranger;
    if (question.has_sender()) explain_sender(question.sender(), *client, tables, facts, answer);
    if (!question.recipient().empty()) explain_recipient(question, *client, tables, facts, answer);
    return answer;
}

std::vector<wire::Explanation> split_into_frames(std::vector<std::string> lines) {
    constexpr std::size_t kLongestLine = 8192;
    constexpr std::size_t kOverhead = 8;
    std::vector<wire::Explanation> frames(1);
    std::size_t size = 0;
    for (std::string& line : lines) {
        line.resize(mail::utf8_cut(line, kLongestLine));
        const std::size_t next = line.size() + kOverhead;
        if (size > 0 && size + next > ipc::kFrameTarget) {
            frames.emplace_back();
            size = 0;
        }
        size += next;
        frames.back().add_lines(std::move(line));
    }
    return frames;
}

}  // namespace postrider::router
