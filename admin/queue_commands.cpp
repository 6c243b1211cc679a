#include "admin/queue_commands.h"

#include <fmt/format.h>

#include "admin/run.h"
#include "libcommon/ipc/client.h"

namespace postrider::admin {

namespace {

using QueueClient = ipc::Client<wire::QueueRequest, wire::QueueReply>;
using Answers = std::vector<QueueClient::Answer>;

constexpr Milliseconds kConnectTimeout{2000};

async::Task<Result<Answers>> ask_task(async::Loop& loop, QueueClient& client, wire::QueueRequest request,
                                      Milliseconds timeout) {
    client.start();
    bool connected = co_await client.wait_connected(loop.after(kConnectTimeout));
    if (!connected) co_return temporary("cannot connect to the queue-manager: is the suite running?");
    co_return co_await client.call_all(std::move(request), loop.after(timeout));
}

Result<Answers> ask(const config::Settings& settings, const wire::QueueRequest& request) {
    async::Loop loop;
    QueueClient client(loop, "queue.sock", wire::ROLE_ADMIN);
    return run_to_end(loop, ask_task(loop, client, request, settings.limits.time(config::Limit::IpcTimeout)));
}

}  // namespace

Result<std::vector<wire::QueueEntry>> list_queue(const config::Settings& settings,
                                                 const wire::Selector& selector) {
    wire::QueueRequest request;
    *request.mutable_list()->mutable_selector() = selector;
    auto answers = ask(settings, request);
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

Result<Fd> open_queue_file(const config::Settings& settings, const std::string& queue_id) {
    wire::QueueRequest request;
    request.mutable_open_file()->set_queue_id(queue_id);
    auto answers = ask(settings, request);
    if (!answers) return failure(answers.error());
    auto& descriptors = answers->front().descriptors;
    if (descriptors.size() != 1) return temporary("the queue-manager answered without a file");
    return std::move(descriptors.front());
}

Result<std::uint64_t> flush_queue(const config::Settings& settings, const wire::Selector& selector) {
    wire::QueueRequest request;
    *request.mutable_flush()->mutable_selector() = selector;
    auto answers = ask(settings, request);
    if (!answers) return failure(answers.error());
    return answers->front().reply.flushed().messages();
}

Result<Counters> queue_counters(const config::Settings& settings) {
    wire::QueueRequest request;
    request.mutable_status();
    auto answers = ask(settings, request);
    if (!answers) return failure(answers.error());
    Counters counters;
    for (const auto& counter : answers->front().reply.state().counters()) {
        counters.emplace_back(counter.name(), counter.value());
    }
    return counters;
}

}  // namespace postrider::admin
