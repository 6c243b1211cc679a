#pragma once

#include <sys/mman.h>
#include <xxhash.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "libcommon/async/loop.h"
#include "libcommon/base/file.h"
#include "libcommon/ipc/queue.pb.h"
#include "libcommon/ipc/router.pb.h"
#include "libcommon/ipc/server.h"

/// A router and a queue-manager of a few lines, each a real server in a thread of this process.
namespace postrider::smtpd::test {

/// Runs a Handler behind a SEQPACKET socket, from construction to destruction.
template <typename Request, typename Reply, typename Handler>
class FakeDaemon {
  public:
    FakeDaemon(std::string socket, ipc::RoleUsers users, Handler& handler)
        : thread_([this, socket, users, &handler]() {
              async::Loop loop;
              async::Timer check(loop, [this, &loop, &check]() {
                  if (stop_) {
                      loop.stop();
                  } else {
                      check.arm(kCheckInterval);
                  }
              });
              check.arm(kCheckInterval);
              auto listening = ipc::listen_seqpacket(socket, 0666);
              ipc::Server<Request, Reply, Handler> server(loop, std::move(listening.value()), socket, users,
                                                          16, handler);
              server.start();
              loop.run();
          }) {}
    ~FakeDaemon() {
        stop_ = true;
        thread_.join();
    }
    FakeDaemon(const FakeDaemon&) = delete;
    FakeDaemon& operator=(const FakeDaemon&) = delete;

  private:
    static constexpr Milliseconds kCheckInterval{10};
    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

/// Accepts every client and sender, and the recipients in local.test.
class RouterHandler {
  public:
    using Peer = ipc::Peer<wire::RouterReply>;
    void on_connect(Peer&) {}
    void on_disconnect(Peer&) {}
    Result<void> on_request(Peer& peer, wire::RouterRequest&& request, const std::vector<Fd>&) {
        wire::RouterReply reply;
        reply.set_id(request.id());
        if (request.has_connect()) {
            reply.mutable_connect()->mutable_verdict()->set_action(wire::Verdict::ACCEPT);
        } else if (request.has_sender()) {
            reply.mutable_verdict()->set_action(wire::Verdict::ACCEPT);
        } else if (request.has_recipient()) {
            decide(request.recipient().recipient(), *reply.mutable_verdict());
        } else {
            return permanent("smtpd asked what it may not ask");
        }
        peer.reply(reply);
        return {};
    }

  private:
    static void decide(const std::string& recipient, wire::Verdict& verdict) {
        if (recipient.ends_with("@local.test")) {
            verdict.set_action(wire::Verdict::ACCEPT);
            return;
        }
        verdict.set_action(wire::Verdict::REJECT);
        verdict.set_code(550);
        verdict.set_enhanced("5.7.1");
        verdict.set_text("Relaying denied");
        verdict.set_rule("default");
    }
};

/// Keeps messages in memory. Its state outlives the thread that serves it.
class QueueHandler {
  public:
    struct Message {
        wire::Envelope envelope;
        std::string content;
        bool committed = false;
    };
    using Peer = ipc::Peer<wire::QueueReply>;

    void on_connect(Peer& peer) {
        wire::QueueReply notice;
        notice.mutable_intake()->set_accepting(true);
        peer.reply(notice);
    }
    void on_disconnect(Peer&) {}
    Result<void> on_request(Peer& peer, wire::QueueRequest&& request, const std::vector<Fd>&) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (request.has_open()) {
            opening_ = request.open().envelope();
            if (!request.open().more()) open(peer, request.id());
        } else if (request.has_more_recipients()) {
            opening_.mutable_recipients()->MergeFrom(request.more_recipients().recipients());
            if (!request.more_recipients().more()) open(peer, request.id());
        } else if (request.has_open_content()) {
            open_content(peer, request.id(), request.open_content().queue_id());
        } else if (request.has_commit()) {
            commit(peer, request.id(), request.commit());
        } else if (request.has_abort()) {
            messages_.erase(request.abort().queue_id());
        } else {
            return permanent("smtpd asked what it may not ask");
        }
        return {};
    }

    [[nodiscard]] std::size_t committed() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::size_t count = 0;
        for (const auto& [id, message] : messages_)
            count += message.committed ? 1 : 0;
        return count;
    }
    [[nodiscard]] Message message(const std::string& id) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return messages_.at(id);
    }

  private:
    void open(Peer& peer, std::uint64_t request) {
        const std::string id = "ID" + std::to_string(++number_);
        messages_[id].envelope = std::move(opening_);
        wire::QueueReply reply;
        reply.set_id(request);
        reply.mutable_opened()->set_queue_id(id);
        peer.reply(reply);
    }
    void open_content(Peer& peer, std::uint64_t request, const std::string& id) {
        Fd file(::memfd_create("message", MFD_CLOEXEC));
        Fd copy(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0));
        files_[id] = std::move(file);
        wire::QueueReply reply;
        reply.set_id(request);
        reply.mutable_content_opened();
        peer.reply(reply, std::move(copy));
    }
    void commit(Peer& peer, std::uint64_t request, const wire::CommitMessage& commit) {
        const auto found = messages_.find(commit.queue_id());
        if (found == messages_.end()) {
            peer.fail(request, Error(Severity::Temporary, "no such message"));
            return;
        }
        Message& message = found->second;
        bool whole = true;
        if (commit.has_content()) {
            message.content = commit.content();
        } else {
            message.content = read_at(files_.at(commit.queue_id()), commit.content_length() + 1, 0).value();
            whole = message.content.size() == commit.content_length() &&
                    XXH3_64bits(message.content.data(), message.content.size()) == commit.content_xxh3();
        }
        if (!whole) {
            peer.fail(request, Error(Severity::Temporary, "length or hash do not fit"));
            return;
        }
        message.committed = true;
        wire::QueueReply reply;
        reply.set_id(request);
        reply.mutable_committed();
        peer.reply(reply);
    }

    mutable std::mutex mutex_;
    int number_ = 0;
    wire::Envelope opening_;
    std::map<std::string, Message> messages_;
    std::map<std::string, Fd> files_;
};

using RouterDaemon = FakeDaemon<wire::RouterRequest, wire::RouterReply, RouterHandler>;
using QueueDaemon = FakeDaemon<wire::QueueRequest, wire::QueueReply, QueueHandler>;

}  // namespace postrider::smtpd::test
