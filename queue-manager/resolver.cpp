#include "queue-manager/resolver.h"

#include <utility>

namespace postrider::queue_manager {

namespace {
// More recipients in one question would make the router busy for too long at a time.
constexpr std::size_t kMaxQuestion = 500;
// Bound of what one address may expand to, whatever the router says.
constexpr std::size_t kMaxExpansion = 10'000;
}  // namespace

Resolver::Resolver(async::Loop& loop, Milliseconds timeout)
    : loop_(loop), timeout_(timeout), client_(loop, "router.sock", wire::ROLE_QUEUE_MANAGER) {}

void Resolver::start(std::function<void()> on_connected) {
    client_.on_state([on_connected = std::move(on_connected)](bool connected) {
        if (connected) on_connected();
    });
    client_.start();
}

async::Task<Result<std::vector<Resolution>>> Resolver::resolve(std::string sender,
                                                               std::vector<wire::Recipient> recipients) {
    std::size_t asked = recipients.size();
    wire::RouterRequest request;
    request.mutable_resolve()->set_sender(sender);
    for (auto& recipient : recipients)
        *request.mutable_resolve()->add_recipients() = std::move(recipient);
    auto answers = co_await client_.call_all(std::move(request), loop_.after(timeout_));
    if (!answers) co_return failure(answers.error());
    std::vector<const wire::Resolved*> frames;
    for (const auto& answer : *answers)
        frames.push_back(&answer.reply.resolved());
    auto merged = merge_answers(asked, frames);
    co_return merged;
}

async::Task<Result<Holds::Answer>> Resolver::schedules(std::vector<std::string> domains) {
    wire::RouterRequest request;
    for (std::string& domain : domains)
        request.mutable_hold()->add_domains(std::move(domain));
    auto answers = co_await client_.call_all(std::move(request), loop_.after(timeout_));
    if (!answers) co_return failure(answers.error());
    Holds::Answer schedules;
    for (const auto& answer : *answers) {
        for (const std::string& domain : answer.reply.held().domains())
            schedules[domain] = schedule_from(wire::RouteSchedule(), true);
        for (const auto& scheduled : answer.reply.held().scheduled())
            schedules[scheduled.domain()] =
                schedule_from(scheduled.schedule(), schedules.count(scheduled.domain()) > 0);
    }
    co_return schedules;
}

async::Task<Result<Resolution>> Resolver::expand(wire::ForwardQuestion question) {
    wire::RouterRequest request;
    *request.mutable_forward() = std::move(question);
    auto answers = co_await client_.call_all(std::move(request), loop_.after(timeout_));
    if (!answers) co_return failure(answers.error());
    std::vector<const wire::Resolved*> frames;
    for (const auto& answer : *answers)
        frames.push_back(&answer.reply.resolved());
    auto merged = merge_answers(1, frames);
    co_return std::move(merged.front());
}

void Resolver::tell_mailbox(const std::string& path, bool full) {
    wire::RouterRequest request;
    request.mutable_mailbox()->set_path(path);
    request.mutable_mailbox()->set_full(full);
    static_cast<void>(client_.notify(request));
}

std::size_t question_size(const wire::Envelope& envelope, const std::vector<std::uint32_t>& indices,
                          std::size_t first) {
    std::size_t bytes = envelope.sender().size();
    std::size_t count = 0;
    while (first + count < indices.size() && count < kMaxQuestion) {
        constexpr std::size_t kFraming = 8;
        const auto& recipient = envelope.recipients(static_cast<int>(indices[first + count]));
        bytes += recipient.ByteSizeLong() + kFraming;
        if (count > 0 && bytes > ipc::kFrameTarget) break;
        ++count;
    }
    return count;
}

std::vector<Resolution> merge_answers(std::size_t recipients,
                                      const std::vector<const wire::Resolved*>& frames) {
    std::vector<Resolution> merged(recipients);
    for (const wire::Resolved* frame : frames) {
        for (const auto& answer : frame->recipients()) {
            if (answer.index() >= recipients) continue;
            Resolution& resolution = merged[answer.index()];
            for (const auto& delivery : answer.deliveries()) {
                if (resolution.deliveries.size() < kMaxExpansion) resolution.deliveries.push_back(delivery);
            }
            if (answer.has_failure()) {
                resolution.error =
                    Error(answer.failure().temporary() ? Severity::Temporary : Severity::Permanent,
                          answer.failure().text());
            }
        }
    }
    return merged;
}

}  // namespace postrider::queue_manager
