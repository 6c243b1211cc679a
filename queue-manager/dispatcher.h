#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>

#include "libcommon/ipc/server.h"
#include "queue-manager/queue.h"

namespace postrider::queue_manager {

using QueuePeer = ipc::Peer<wire::QueueReply>;

/// The transports an agent of this role may take, whatever it asks for.
[[nodiscard]] TransportSet transports_of(wire::Role role);

/// Offers jobs to the delivery agents that are connected, each as many as it can take, in turns. An agent
/// that disappears gives its jobs back.
///
/// Destinations of which the last connection failed get at most half of an agent's places, and together with
/// those of which nothing is known at most three quarters: so many may hold their places until a time-out,
/// and those that take mail still get theirs.
class Dispatcher {
  public:
    explicit Dispatcher(Queue& queue) : queue_(queue) {}

    /// An agent says what it takes; it may say so again.
    void ready(QueuePeer& peer, const wire::AgentReady& ready);
    /// An agent reports the outcome of a job, perhaps of one from before our last start. Error: nonsense.
    [[nodiscard]] Result<void> report(QueuePeer& peer, const wire::DeliveryReport& report);
    /// An agent disconnected.
    void gone(QueuePeer& peer);

    /// Offers what is ready. Called whenever something became ready or an agent free.
    void offer();

    /// Jobs that agents have in hand.
    [[nodiscard]] std::size_t in_flight() const;
    [[nodiscard]] std::size_t agents() const { return agents_.size(); }

  private:
    struct Agent {
        TransportSet transports;
        std::size_t capacity = 0;
        std::unordered_map<std::uint64_t, Job> jobs;
        std::array<std::size_t, kTrusts> in_hand{};  // jobs, by the trust in their destinations
        std::uint64_t reports_taken = 0;             // the last report that is in the files
        std::uint64_t reports_said = 0;              // the last one that the agent was told so of
    };
    [[nodiscard]] static std::optional<Trust> least_trust(const Agent& agent);
    bool offer_one(QueuePeer& peer, Agent& agent);
    void say_taken(QueuePeer& peer, std::uint64_t sequence);

    Queue& queue_;
    std::unordered_map<QueuePeer*, Agent> agents_;
    std::deque<QueuePeer*> turns_;
};

}  // namespace postrider::queue_manager
