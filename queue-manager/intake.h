#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "libcommon/async/loop.h"
#include "libcommon/async/scope.h"
#include "queue-manager/dispatcher.h"
#include "queue-manager/queue.h"
#include "queue-manager/settings.h"
#include "queue-manager/spool.h"

namespace postrider::queue_manager {

/// Takes messages in from smtpd: creates the file, hands out the descriptor to write to, makes it durable.
///
/// The peer is the process that talks to the internet and is believed in nothing: it gets files of its own
/// messages only, what it says about them is checked, and all that it can make grow is bounded. What it left
/// open is removed when it disconnects; a commit that was still being synced is taken back, because nobody
/// can have told the sender of it.
class Intake {
  public:
    Intake(async::Loop& loop, const Settings& settings, Spool& spool, Queue& queue);
    Intake(const Intake&) = delete;
    Intake& operator=(const Intake&) = delete;

    /// Begins to watch the free space.
    void start();
    /// Takes no new message; commits under way go on.
    void stop();

    void connected(QueuePeer& peer);
    void gone(QueuePeer& peer);

    /// The frames of smtpd. Errors are breaches of the protocol; everything else is answered.
    [[nodiscard]] Result<void> open(QueuePeer& peer, std::uint64_t request, wire::OpenMessage&& frame);
    [[nodiscard]] Result<void> more_recipients(QueuePeer& peer, std::uint64_t request,
                                               wire::MoreRecipients&& frame);
    [[nodiscard]] Result<void> open_content(QueuePeer& peer, std::uint64_t request,
                                            const wire::OpenContent& frame);
    [[nodiscard]] Result<void> commit(QueuePeer& peer, std::uint64_t request, wire::CommitMessage&& frame);
    [[nodiscard]] Result<void> abort(QueuePeer& peer, const wire::AbortMessage& frame);

    [[nodiscard]] std::size_t open_messages() const { return open_messages_; }
    [[nodiscard]] std::size_t commits_in_flight() const { return tasks_.size(); }
    [[nodiscard]] bool accepting() const { return refusal_.empty(); }

  private:
    /// A message between its Opened and its end. It has a file in tmp/ only if the peer asked for one.
    struct Open {
        wire::Envelope envelope;
        queue_file::Header header;
        Fd file;
    };
    /// What a thread makes durable; shared with it, because the task that waits may be cancelled before.
    struct Commit {
        QueueId id;
        Open open;
        wire::CommitMessage frame;
        Folder target = Folder::New;
        std::shared_ptr<const std::string> image;  ///< of one that is in the intake journal
    };
    struct Partial {
        wire::Envelope envelope;
        std::uint64_t expected_size = 0;
        std::size_t bytes = 0;
    };
    struct Connection {
        QueuePeer* peer = nullptr;
        std::uint64_t number = 0;
        std::unordered_map<QueueId, Open> open;
        std::unordered_map<std::uint64_t, Partial> partial;
    };

    Connection& connection_of(QueuePeer& peer) { return *connections_.at(&peer); }
    void begin(Connection& connection, std::uint64_t request, Partial partial);
    async::Task<Result<Spool::Committed>> commit_to_file(std::shared_ptr<Commit> commit);
    /// In the intake journal, if it takes the message; nullopt if it does not.
    async::Task<std::optional<Result<Spool::Committed>>> commit_to_journal(std::shared_ptr<Commit> commit);
    /// On a thread of the pool.
    [[nodiscard]] static Result<Spool::Committed> make_durable(Spool& spool, Commit& commit);
    async::Task<void> commit_open(std::uint64_t connection, std::uint64_t request,
                                  std::shared_ptr<Commit> commit);
    void check_space();
    void cannot_create(const Error& error);
    void set_refusal(std::string reason);
    void announce(QueuePeer& peer);

    const Settings& settings_;
    Spool& spool_;
    Queue& queue_;
    std::string refusal_;  // why nothing is accepted now; empty: accepting
    bool stopped_ = false;
    Spool::FreeSpace space_;
    std::uint64_t next_connection_ = 1;
    std::size_t open_messages_ = 0;
    std::size_t inline_bytes_ = 0;  // of content that is in memory until it is durable
    std::unordered_map<QueuePeer*, std::unique_ptr<Connection>> connections_;
    std::unordered_map<std::uint64_t, Connection*> by_number_;
    async::Timer space_timer_;
    async::Scope tasks_;
};

/// Checks an envelope from smtpd and replaces what only the queue-manager may say (arrival, report flags).
/// Error: a breach of the protocol. Pure.
[[nodiscard]] Result<void> sanitize_envelope(wire::Envelope& envelope, UnixMillis now,
                                             std::size_t max_recipients);

}  // namespace postrider::queue_manager
