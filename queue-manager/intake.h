#pragma once

#include <cstdint>
#include <memory>
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
    [[nodiscard]] Result<void> commit(QueuePeer& peer, std::uint64_t request,
                                      const wire::CommitMessage& frame);
    [[nodiscard]] Result<void> abort(QueuePeer& peer, const wire::AbortMessage& frame);

    [[nodiscard]] std::size_t open_messages() const { return open_messages_; }
    [[nodiscard]] std::size_t commits_in_flight() const { return tasks_.size(); }
    [[nodiscard]] bool accepting() const { return refusal_.empty(); }

  private:
    struct Open {
        queue_file::Header header;
        wire::Envelope envelope;
        Fd file;
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
    async::Task<void> commit_open(std::uint64_t connection, std::uint64_t request, Open open,
                                  std::uint64_t content_length, std::uint64_t content_xxh3);
    void check_space();
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
