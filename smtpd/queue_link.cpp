#include "smtpd/queue_link.h"

#include "libcommon/log/log.h"

namespace postrider::smtpd {

namespace {

// What a recipient costs in a frame beyond its own bytes: the tags and lengths of the field around it.
constexpr std::size_t kFieldOverhead = 8;

}  // namespace

std::vector<wire::QueueRequest> open_requests(wire::Envelope envelope, std::uint64_t expected_size) {
    google::protobuf::RepeatedPtrField<wire::Recipient> recipients;
    recipients.Swap(envelope.mutable_recipients());
    std::vector<wire::QueueRequest> requests(1);
    std::size_t size = envelope.ByteSizeLong() + kFieldOverhead;
    requests.front().mutable_open()->set_expected_size(expected_size);
    *requests.front().mutable_open()->mutable_envelope() = std::move(envelope);
    for (wire::Recipient& recipient : recipients) {
        const std::size_t added = recipient.ByteSizeLong() + kFieldOverhead;
        if (size + added > ipc::kFrameTarget) {
            wire::QueueRequest& full = requests.back();
            if (full.has_open()) {
                full.mutable_open()->set_more(true);
            } else {
                full.mutable_more_recipients()->set_more(true);
            }
            requests.emplace_back();
            size = 0;
        }
        size += added;
        wire::QueueRequest& request = requests.back();
        auto* list = request.has_open() ? request.mutable_open()->mutable_envelope()->mutable_recipients()
                                        : request.mutable_more_recipients()->mutable_recipients();
        *list->Add() = std::move(recipient);
    }
    return requests;
}

// A commit that is answered too late becomes a duplicate, so we wait as long as clients surely do: they have
// to wait for final_dot_timeout at least (RFC 5321, 4.5.3.2.6), and half of it leaves time for the answer.
QueueLink::QueueLink(async::Loop& loop, Client::Connect connect, const config::Limits& limits)
    : loop_(loop),
      open_timeout_(limits.time(config::Limit::IpcTimeout)),
      commit_timeout_(limits.time(config::Limit::FinalDotTimeout) / 2),
      restart_time_(limits.time(config::Limit::RespawnDelay) * 2),
      client_(loop, "queue-manager", wire::ROLE_SMTPD, std::move(connect)) {
    client_.on_notice([this](wire::QueueReply&& reply, const std::vector<Fd>&) { notice(reply); });
    client_.on_state([this](bool connected) {
        // What a queue-manager said that is gone means nothing; the next one says for itself.
        intake_ = Intake();
        log::info(connected ? "queue-manager connected" : "queue-manager lost");
    });
}

void QueueLink::notice(const wire::QueueReply& reply) {
    if (!reply.has_intake()) return;
    intake_.accepting = reply.intake().accepting();
    intake_.reason = reply.intake().reason();
    log::info("intake").add("accepting", intake_.accepting).add("reason", intake_.reason);
}

async::Task<Result<std::string>> QueueLink::open(wire::Envelope envelope, std::uint64_t expected_size) {
    if (!client_.connected()) {
        // As with the router: a restart is a pause and not a refusal.
        const async::Deadline restarted = loop_.after(restart_time_);
        bool connected = co_await client_.wait_connected(restarted);
        if (!connected) co_return temporary("the queue-manager is not there");
    }
    std::vector<wire::QueueRequest> requests = open_requests(std::move(envelope), expected_size);
    const async::Deadline deadline = loop_.after(open_timeout_);
    auto answer = co_await client_.call_in_parts(std::move(requests), deadline);
    if (!answer) co_return failure(answer.error());
    if (!answer->reply.has_opened()) co_return temporary("the queue-manager did not open the message");
    co_return answer->reply.opened().queue_id();
}

async::Task<Result<Fd>> QueueLink::open_content(std::string queue_id) {
    wire::QueueRequest request;
    request.mutable_open_content()->set_queue_id(std::move(queue_id));
    const async::Deadline deadline = loop_.after(open_timeout_);
    auto answer = co_await client_.call(std::move(request), deadline);
    if (!answer) co_return failure(answer.error());
    if (!answer->reply.has_content_opened() || answer->descriptors.size() != 1) {
        co_return temporary("the queue-manager did not give a place for the content");
    }
    co_return std::move(answer->descriptors.front());
}

async::Task<Result<void>> QueueLink::commit(CompleteMessage message) {
    wire::QueueRequest request;
    request.mutable_commit()->set_queue_id(std::move(message.queue_id));
    if (message.content) {
        request.mutable_commit()->set_content(std::move(*message.content));
    } else {
        request.mutable_commit()->set_content_length(message.length);
        request.mutable_commit()->set_content_xxh3(message.hash);
    }
    const async::Deadline deadline = loop_.after(commit_timeout_);
    auto answer = co_await client_.call(std::move(request), deadline);
    if (!answer) co_return failure(answer.error());
    if (!answer->reply.has_committed())
        co_return temporary("the queue-manager did not say that it has the message");
    co_return Result<void>();
}

async::Task<Result<StartedQueue>> QueueLink::start_queue(std::string domain, bool subdomains,
                                                         std::string client) {
    wire::QueueRequest request;
    request.mutable_etrn()->set_domain(std::move(domain));
    request.mutable_etrn()->set_subdomains(subdomains);
    request.mutable_etrn()->set_client(std::move(client));
    const async::Deadline deadline = loop_.after(open_timeout_);
    auto answer = co_await client_.call(std::move(request), deadline);
    if (!answer) co_return failure(answer.error());
    if (!answer->reply.has_flushed()) co_return temporary("the queue-manager did not say what it started");
    const wire::Flushed& flushed = answer->reply.flushed();
    StartedQueue started;
    started.messages = flushed.messages();
    started.unfinished = flushed.unfinished();
    started.wait = Seconds(flushed.wait_seconds());
    co_return started;
}

void QueueLink::abort(const std::string& queue_id) {
    wire::QueueRequest request;
    request.mutable_abort()->set_queue_id(queue_id);
    // If it does not arrive the connection is gone, and with it everything that was opened over it.
    static_cast<void>(client_.notify(request));
}

}  // namespace postrider::smtpd
