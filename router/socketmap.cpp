#include "router/socketmap.h"

#include <fmt/format.h>

#include <utility>

#include "libcommon/async/connect.h"

namespace postrider::router {

namespace {

/// A place among the connections, and in the count of who waits, for as long as a look-up takes.
class Place {
  public:
    explicit Place(std::size_t& waiting) : waiting_(waiting) { ++waiting_; }
    ~Place() {
        --waiting_;
        if (connections_ != nullptr) connections_->release();
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    void has(async::Semaphore& connections) { connections_ = &connections; }

  private:
    std::size_t& waiting_;
    async::Semaphore* connections_ = nullptr;
};

}  // namespace

SocketmapClient::SocketmapClient(async::Loop& loop, std::string path, SocketmapLimits limits)
    : loop_(loop), path_(std::move(path)), limits_(limits), places_(loop, limits.connections) {}

async::Task<Result<std::optional<std::string>>> SocketmapClient::look_up(std::string map, std::string key) {
    if (waiting_ >= limits_.waiting) {
        co_return temporary(fmt::format("{}: {} look-ups wait already", path_, waiting_));
    }
    Place place(waiting_);
    const async::Deadline deadline = loop_.after(limits_.timeout);
    bool acquired = co_await places_.acquire(deadline);
    if (acquired) place.has(places_);
    // One that gets its place when others have run out of time has none left itself.
    const bool late = loop_.now() >= *deadline;
    if (!acquired || late) co_return temporary(fmt::format("{}: all connections are in use", path_));

    auto reply = co_await ask(socketmap_question(map, key), deadline);
    if (!reply) co_return temporary(fmt::format("{}: {}", path_, reply.error().text));
    switch (reply->kind) {
        case SocketmapReply::Kind::Found:
            co_return std::optional<std::string>(std::move(reply->text));
        case SocketmapReply::Kind::NotFound:
            co_return std::optional<std::string>();
        case SocketmapReply::Kind::Unavailable:
            break;
    }
    co_return temporary(fmt::format("{} says: {}", path_, reply->text));
}

async::Task<Result<SocketmapReply>> SocketmapClient::ask(std::string question, async::Deadline deadline) {
    // A server may have closed a connection that was idle, so only a new one tells that it is gone.
    while (!idle_.empty()) {
        StreamPointer idle = std::move(idle_.back());
        idle_.pop_back();
        if (idle->stale()) continue;
        auto reply = co_await converse(std::move(idle), question, deadline);
        if (reply) co_return std::move(reply);
    }
    Result<Fd> socket = async::connect_local(path_);
    if (!socket) co_return failure(std::move(socket).error());
    StreamPointer fresh = std::make_unique<async::Stream>(loop_, std::move(*socket));
    auto reply = co_await converse(std::move(fresh), std::move(question), deadline);
    co_return std::move(reply);
}

async::Task<Result<SocketmapReply>> SocketmapClient::converse(StreamPointer stream, std::string question,
                                                              async::Deadline deadline) {
    stream->put(question);
    auto sent = co_await stream->flush(deadline);
    if (!sent) co_return failure(std::move(sent).error());
    while (true) {
        Result<std::optional<SocketmapReply>> reply =
            parse_socketmap_reply(stream->buffered(), limits_.reply_size);
        if (!reply) co_return failure(std::move(reply).error());
        if (*reply) {
            stream->consume((*reply)->size);
            // More than was asked for would be taken for the reply to the next question.
            if (stream->buffered().empty()) idle_.push_back(std::move(stream));
            co_return std::move(**reply);
        }
        constexpr std::size_t kFraming = 16;
        auto filled = co_await stream->fill(limits_.reply_size + kFraming, deadline);
        if (!filled && stream->timed_out()) co_return temporary("no answer");
        if (!filled) co_return failure(std::move(filled).error());
        if (!*filled) co_return temporary("it closed the connection");
    }
}

}  // namespace postrider::router
