#include "admin/queue_commands.h"

namespace postrider::admin {

Result<Answers<wire::QueueRequest, wire::QueueReply>> ask_queue(const config::Settings& settings,
                                                                wire::QueueRequest request) {
    return ask<wire::QueueReply>({"queue.sock", "queue-manager"}, std::move(request),
                                 settings.limits.time(config::Limit::IpcTimeout));
}

Result<std::vector<wire::QueueEntry>> ask_for_listing(const config::Settings& settings,
                                                      wire::QueueRequest request) {
    auto answers = ask_queue(settings, std::move(request));
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

Result<std::vector<wire::QueueEntry>> list_queue(const config::Settings& settings,
                                                 const wire::Selector& selector) {
    wire::QueueRequest request;
    *request.mutable_list()->mutable_selector() = selector;
    return ask_for_listing(settings, std::move(request));
}

Result<Fd> open_queue_file(const config::Settings& settings, const std::string& queue_id) {
    wire::QueueRequest request;
    request.mutable_open_file()->set_queue_id(queue_id);
    auto answers = ask_queue(settings, std::move(request));
    if (!answers) return failure(answers.error());
    auto& descriptors = answers->front().descriptors;
    if (descriptors.size() != 1) return temporary("the queue-manager answered without a file");
    return std::move(descriptors.front());
}

Result<std::uint64_t> flush_queue(const config::Settings& settings, const wire::Selector& selector) {
    wire::QueueRequest request;
    *request.mutable_flush()->mutable_selector() = selector;
    auto answers = ask_queue(settings, std::move(request));
    if (!answers) return failure(answers.error());
    return answers->front().reply.flushed().messages();
}

Result<Counters> queue_counters(const config::Settings& settings) {
    wire::QueueRequest request;
    request.mutable_status();
    auto answers = ask_queue(settings, std::move(request));
    if (!answers) return failure(answers.error());
    Counters counters;
    for (const auto& counter : answers->front().reply.state().counters()) {
        counters.emplace_back(counter.name(), counter.value());
    }
    return counters;
}

}  // namespace postrider::admin
