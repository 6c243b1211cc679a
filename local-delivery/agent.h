#pragma once

#include "libcommon/async/scope.h"
#include "libcommon/config/settings.h"
#include "libcommon/ipc/agent_link.h"
#include "libcommon/ipc/queue.pb.h"
#include "local-delivery/child_pool.h"

namespace postrider::local_delivery {

/// What local-delivery does for the queue-manager: takes jobs, has each delivery performed by a child of the
/// recipient's user, and reports. If the queue-manager goes away in the meantime it gives the jobs to whoever
/// announces itself next; a report for a job it no longer knows is dropped there.
class Agent {
  public:
    Agent(async::Loop& loop, const config::Settings& settings);

    /// Connects, and from then on takes jobs.
    void start();

    /// Takes no more jobs and waits until the running ones are reported, at most until `deadline`.
    async::Task<bool> drain(async::Deadline deadline);

    [[nodiscard]] ChildPool& children() { return children_; }

  private:
    async::Task<void> work(wire::DeliverJob job, Fd file);
    async::Task<std::optional<wire::DeliveryResult>> deliver(const wire::DeliverJob& job, int index, Fd file,
                                                             std::uint64_t connection);

    ChildPool children_;
    std::uint64_t connection_ = 0;  // counts the losses of the connection to the queue-manager
    async::Scope jobs_;
    ipc::AgentLink queue_;  // last: its jobs use the others
};

}  // namespace postrider::local_delivery
