#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "libcommon/ipc/client.h"
#include "libcommon/ipc/queue.pb.h"

namespace postrider::ipc {

/// A delivery agent's connection to the queue-manager: announces what the agent takes, hands it jobs, and
/// brings its reports back. A report is kept until the queue-manager says that it is in the queue's files,
/// and is sent again, before anything else, to a queue-manager that was restarted: what was delivered is not
/// delivered twice because the one before died.
class AgentLink {
  public:
    /// Takes up to `capacity` jobs at a time, of these transports.
    AgentLink(async::Loop& loop, wire::Role role, std::vector<wire::Transport> transports,
              std::size_t capacity);

    /// Called with every job and the read-only descriptor of its queue file. Set before start().
    void on_job(std::function<void(wire::DeliverJob&&, Fd)> handler) { on_job_ = std::move(handler); }
    /// Called when the connection was made (true), before anything is sent over it, and when it was lost
    /// (false).
    void on_state(std::function<void(bool)> handler) { on_state_ = std::move(handler); }

    /// Begins to connect, and from then on keeps the connection; returns at once.
    void start() { queue_.start(); }

    /// Reports the outcome of `job`.
    void report(const wire::DeliverJob& job, std::vector<wire::DeliveryResult> results);

    /// Takes no more jobs.
    void close();

  private:
    void connected();
    /// The authority of an agent: the one frame it obeys is a job with one descriptor.
    void dispatch(wire::QueueReply&& notice, std::vector<Fd> descriptors);
    void announce();
    void forget_reports(std::uint64_t taken);

    std::vector<wire::Transport> transports_;
    std::size_t capacity_;
    std::function<void(wire::DeliverJob&&, Fd)> on_job_;
    std::function<void(bool)> on_state_;
    std::deque<wire::QueueRequest> kept_;  // reports that the queue-manager may not have yet
    std::uint64_t last_report_ = 0;
    Client<wire::QueueRequest, wire::QueueReply> queue_;  // last: its notices use the others
};

/// A report that defers every recipient of a job that is not even begun.
[[nodiscard]] std::vector<wire::DeliveryResult> defer_all(const wire::DeliverJob& job,
                                                          std::string_view status, std::string_view reason);

}  // namespace postrider::ipc
