#include "admin/queue_commands.h"

#include <unistd.h>

#include <algorithm>

namespace postrider::admin {

Result<Answers<wire::QueueRequest, wire::QueueReply>> ask_queue(const config::Settings& settings,
                                                                wire::QueueRequest request) {
    return ask<wire::QueueReply>({"queue.sock", "queue-manager"}, std::move(request),
                                 settings.limits.time(config::Limit::IpcTimeout));
}

Result<Answers<wire::QueueRequest, wire::QueueReply>> ask_reader(const config::Settings& settings,
                                                                 wire::QueueRequest request) {
    auto answers = ask<wire::QueueReply>({"queue-read.sock", "queue-manager", wire::ROLE_READER},
                                         std::move(request), settings.limits.time(config::Limit::IpcTimeout));
    const bool is_root = ::geteuid() == 0;
    if (answers || is_root || !answers.error().text.ends_with("was lost")) return answers;
    return failure(Error(answers.error().severity,
                         answers.error().text + "; only root and the members of the group that queue_readers "
                                                "names may look at the queue"));
}

Result<std::vector<wire::QueueEntry>> ask_for_listing(const config::Settings& settings,
                                                      wire::QueueRequest request) {
    const bool reads = request.has_list();
    auto answers = reads ? ask_reader(settings, std::move(request)) : ask_queue(settings, std::move(request));
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
    // What is held comes after what waits.
    std::stable_sort(entries.begin(), entries.end(),
                     [](const auto& left, const auto& right) { return left.queue_id() < right.queue_id(); });
    return entries;
}

Result<std::vector<wire::QueueEntry>> list_queue(const config::Settings& settings,
                                                 const wire::Selector& selector, wire::Place place) {
    wire::QueueRequest request;
    *request.mutable_list()->mutable_selector() = selector;
    request.mutable_list()->set_place(place);
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

Result<wire::Flushed> flush_queue(const config::Settings& settings, const wire::Flush& flush) {
    wire::QueueRequest request;
    *request.mutable_flush() = flush;
    auto answers = ask_queue(settings, std::move(request));
    if (!answers) return failure(answers.error());
    return answers->front().reply.flushed();
}

Result<wire::Steered> steer(const config::Settings& settings, const wire::Steer& asked) {
    wire::QueueRequest request;
    *request.mutable_steer() = asked;
    auto answers = ask_queue(settings, std::move(request));
    if (!answers) return failure(answers.error());
    return answers->back().reply.steered();
}

Result<std::vector<wire::DestinationState>> destinations(const config::Settings& settings,
                                                         const std::string& next_hop) {
    wire::QueueRequest request;
    request.mutable_destinations()->set_name(next_hop);
    auto answers = ask_reader(settings, std::move(request));
    if (!answers) return failure(answers.error());
    std::vector<wire::DestinationState> all;
    for (const auto& answer : *answers) {
        const auto& part = answer.reply.destinations().destinations();
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

Result<wire::Shape> queue_shape(const config::Settings& settings, bool senders) {
    wire::QueueRequest request;
    request.mutable_shape()->set_senders(senders);
    auto answers = ask_reader(settings, std::move(request));
    if (!answers) return failure(answers.error());
    wire::Shape shape = answers->front().reply.shape();
    for (std::size_t i = 1; i < answers->size(); ++i)
        shape.mutable_rows()->MergeFrom((*answers)[i].reply.shape().rows());
    return shape;
}

Result<std::vector<wire::TraceEvent>> trace(const config::Settings& settings, const std::string& queue_id) {
    wire::QueueRequest request;
    request.mutable_trace()->set_queue_id(queue_id);
    auto answers = ask_reader(settings, std::move(request));
    if (!answers) return failure(answers.error());
    std::vector<wire::TraceEvent> events;
    for (const auto& answer : *answers)
        events.insert(events.end(), answer.reply.trace().events().begin(),
                      answer.reply.trace().events().end());
    return events;
}

Result<wire::Suspended> suspend_domains(const config::Settings& settings, const wire::SuspendDomains& asked) {
    wire::QueueRequest request;
    *request.mutable_suspend() = asked;
    auto answers = ask_queue(settings, std::move(request));
    if (!answers) return failure(answers.error());
    return answers->front().reply.suspended();
}

Result<wire::Suspended> suspended_domains(const config::Settings& settings) {
    wire::QueueRequest request;
    request.mutable_suspended();
    auto answers = ask_reader(settings, std::move(request));
    if (!answers) return failure(answers.error());
    wire::Suspended all;
    for (const auto& answer : *answers)
        all.mutable_domains()->MergeFrom(answer.reply.suspended().domains());
    return all;
}

Result<Counters> queue_counters(const config::Settings& settings) {
    wire::QueueRequest request;
    request.mutable_status();
    auto answers = ask_reader(settings, std::move(request));
    if (!answers) return failure(answers.error());
    Counters counters;
    for (const auto& counter : answers->front().reply.state().counters()) {
        counters.emplace_back(counter.name(), counter.value());
    }
    return counters;
}

}  // namespace postrider::admin
