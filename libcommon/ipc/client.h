#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "libcommon/async/scope.h"
#include "libcommon/async/sync.h"
#include "libcommon/ipc/channel.h"
#include "libcommon/ipc/queue.pb.h"

namespace postrider::ipc {

/// Asks a server over a channel that is connected again whenever it breaks. Any number of requests can be
/// outstanding. `Request` and `Reply` are the two frames of one of the .proto files.
template <typename Request, typename Reply>
class Client {
  public:
    /// An answer and the descriptors that came with it.
    struct Answer {
        Answer() = default;
        Answer(Reply reply_in, std::vector<Fd> descriptors_in)
            : reply(std::move(reply_in)), descriptors(std::move(descriptors_in)) {}
        Reply reply;
        std::vector<Fd> descriptors;
    };
    /// Gives a connected socket, or says why there is none now.
    using Connect = std::function<async::Task<Result<Fd>>()>;

    /// Connects to the socket `name` in the working directory.
    Client(async::Loop& loop, std::string name, wire::Role role) : Client(loop, name, role, Connect()) {
        connect_ = [name = std::move(name)]() { return connect_by_name(name); };
    }
    /// `name` is for error texts; the socket comes from `connect`.
    Client(async::Loop& loop, std::string name, wire::Role role, Connect connect)
        : loop_(loop),
          name_(std::move(name)),
          role_(role),
          connect_(std::move(connect)),
          changed_(loop),
          scope_(loop) {}
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    /// Called on the loop for every frame with id 0. Set before start().
    void on_notice(std::function<void(Reply&&, std::vector<Fd>)> handler) { on_notice_ = std::move(handler); }
    /// Called with true after a connection was made (Hello is sent already) and false after it was lost.
    void on_state(std::function<void(bool)> handler) { on_state_ = std::move(handler); }

    /// Begins to connect, and from then on keeps the connection; returns at once.
    void start() { scope_.spawn(keep_connected()); }
    [[nodiscard]] bool connected() const { return channel_ != nullptr; }
    /// Waits until connected; false when the deadline passed.
    async::Task<bool> wait_connected(async::Deadline deadline) {
        while (!connected()) {
            bool notified = co_await changed_.wait(deadline);
            if (!notified && !connected()) co_return false;
        }
        co_return true;
    }

    /// Sends `request` (its id is set here) and waits for the one frame that answers it. A Failure frame
    /// becomes the error it describes. Temporary error: not connected, connection lost, or no answer by the
    /// deadline; the request may or may not have been carried out. Where there is a function
    /// wipe_secrets(Request&), found by the namespace of Request, the request is given to it once it was
    /// sent.
    async::Task<Result<Answer>> call(Request request, async::Deadline deadline, Fd descriptor = Fd()) {
        Pending pending(*this);
        auto sent = send(pending, request, std::move(descriptor));
        if constexpr (requires(Request& secret) { wipe_secrets(secret); }) wipe_secrets(request);
        if (!sent) co_return failure(sent.error());
        co_return co_await pending.next(deadline);
    }
    /// As call(), for requests that are answered by several frames; all of them, in order.
    async::Task<Result<std::vector<Answer>>> call_all(Request request, async::Deadline deadline) {
        std::function<async::Deadline()> until = [deadline] { return deadline; };
        co_return co_await collect(std::move(request), std::move(until));
    }
    /// The same, for an answer that may be long: it may take so much time until its first frame and between
    /// any two.
    async::Task<Result<std::vector<Answer>>> call_all(Request request, Milliseconds between_frames) {
        std::function<async::Deadline()> until = [this, between_frames] {
            return loop_.after(between_frames);
        };
        co_return co_await collect(std::move(request), std::move(until));
    }
    /// Sends a request that spans several frames (`parts`, all with one id) and waits for the one answer.
    async::Task<Result<Answer>> call_in_parts(std::vector<Request> parts, async::Deadline deadline) {
        Pending pending(*this);
        for (auto& part : parts) {
            auto sent = send(pending, part, Fd());
            if (!sent) co_return failure(sent.error());
        }
        co_return co_await pending.next(deadline);
    }
    /// Sends a frame that is not answered.
    [[nodiscard]] Result<void> notify(const Request& request, Fd descriptor = Fd()) {
        if (!channel_) return temporary(name_ + " is not available");
        return channel_->post(request, std::move(descriptor));
    }

  private:
    /// A request that waits for its answer; known to the client for as long as it exists.
    class Pending {
      public:
        explicit Pending(Client& client) : client_(client), id_(client.next_id_++), arrived_(client.loop_) {
            client_.pending_.emplace(id_, this);
        }
        ~Pending() { client_.pending_.erase(id_); }
        Pending(const Pending&) = delete;
        Pending& operator=(const Pending&) = delete;

        [[nodiscard]] std::uint64_t id() const { return id_; }
        void arrive(Answer answer) {
            answers_.push_back(std::move(answer));
            arrived_.notify_one();
        }
        void lose() {
            lost_ = true;
            arrived_.notify_one();
        }
        async::Task<Result<Answer>> next(async::Deadline deadline) {
            while (answers_.empty()) {
                if (lost_) co_return temporary("the connection to " + client_.name_ + " was lost");
                bool notified = co_await arrived_.wait(deadline);
                if (!notified && answers_.empty() && !lost_) {
                    co_return temporary("no answer from " + client_.name_);
                }
            }
            Answer answer = std::move(answers_.front());
            answers_.pop_front();
            if (answer.reply.has_failure()) {
                const auto& reason = answer.reply.failure();
                co_return failure(
                    Error(reason.temporary() ? Severity::Temporary : Severity::Permanent, reason.text()));
            }
            co_return answer;
        }

      private:
        Client& client_;
        std::uint64_t id_;
        std::deque<Answer> answers_;
        bool lost_ = false;
        async::Condition arrived_;
    };

    static async::Task<Result<Fd>> connect_by_name(std::string name) { co_return connect_seqpacket(name); }

    Result<void> send(Pending& pending, Request& request, Fd descriptor) {
        if (!channel_) return temporary(name_ + " is not available");
        request.set_id(pending.id());
        return channel_->post(request, std::move(descriptor));
    }

    async::Task<Result<std::vector<Answer>>> collect(Request request,
                                                     std::function<async::Deadline()> until) {
        Pending pending(*this);
        std::vector<Answer> answers;
        auto sent = send(pending, request, Fd());
        if (!sent) co_return failure(sent.error());
        bool more = true;
        while (more) {
            async::Deadline deadline = until();
            auto answer = co_await pending.next(deadline);
            if (!answer) co_return failure(answer.error());
            more = answer->reply.more();
            answers.push_back(std::move(*answer));
        }
        co_return answers;
    }

    async::Task<void> keep_connected() {
        while (true) {
            auto socket = co_await connect_();
            if (socket) {
                co_await use(std::move(*socket));
            }
            co_await async::Sleep(loop_, kReconnectDelay);
        }
    }

    async::Task<void> use(Fd socket) {
        channel_ = std::make_unique<Channel>(loop_, std::move(socket));
        Request hello;
        hello.mutable_hello()->set_role(role_);
        auto greeted = channel_->post(hello);
        if (greeted) {
            changed_.notify_all();
            if (on_state_) on_state_(true);
            co_await receive_all();
        }
        channel_.reset();
        for (auto& [id, pending] : pending_)
            pending->lose();
        if (greeted && on_state_) on_state_(false);
    }

    async::Task<void> receive_all() {
        while (true) {
            auto frame = co_await channel_->receive();
            if (!frame || !*frame) co_return;
            Reply reply;
            if (!reply.ParseFromString((*frame)->data)) co_return;
            deliver(std::move(reply), std::move((*frame)->descriptors));
        }
    }

    void deliver(Reply reply, std::vector<Fd> descriptors) {
        if (reply.id() == 0) {
            if (on_notice_) on_notice_(std::move(reply), std::move(descriptors));
            return;
        }
        auto found = pending_.find(reply.id());
        // The asker gave up in the meantime; the descriptors close here.
        if (found == pending_.end()) return;
        found->second->arrive(Answer(std::move(reply), std::move(descriptors)));
    }

    static constexpr Milliseconds kReconnectDelay{100};

    async::Loop& loop_;
    std::string name_;
    wire::Role role_;
    Connect connect_;
    std::function<void(Reply&&, std::vector<Fd>)> on_notice_;
    std::function<void(bool)> on_state_;
    std::uint64_t next_id_ = 1;
    std::unordered_map<std::uint64_t, Pending*> pending_;
    std::unique_ptr<Channel> channel_;
    async::Condition changed_;
    async::Scope scope_;
};

}  // namespace postrider::ipc
