#pragma once

#include <cstddef>
#include <vector>

#include "libcommon/async/loop.h"
#include "libcommon/async/scope.h"
#include "libcommon/base/fd.h"
#include "libcommon/config/self.h"
#include "libcommon/config/settings.h"
#include "libcommon/ipc/agent_link.h"
#include "libcommon/ipc/queue.pb.h"
#include "remote-delivery/job.h"
#include "remote-delivery/pool.h"
#include "remote-delivery/preference.h"
#include "remote-delivery/route.h"

namespace postrider::remote_delivery {

/// The daemon: takes jobs from the queue-manager, runs them beside each other, and reports.
///
/// When the connection to the queue-manager is lost the jobs go on until it is back, and their reports are
/// kept for it. What is not done by then is dropped: the queue-manager gives it out again.
class Agent {
  public:
    /// `capacity` is how many jobs it takes at the same time. The references outlive the agent.
    Agent(async::Loop& loop, const config::Settings& settings, const config::Self& self,
          dns::Resolver& resolver, std::size_t capacity);
    Agent(const Agent&) = delete;
    Agent& operator=(const Agent&) = delete;

    /// Connects to the queue-manager, and from then on keeps the connection; returns at once.
    void start();

    /// Takes no more jobs, lets those under way end until `deadline`, and closes the idle sessions.
    async::Task<void> shut_down(async::Deadline deadline);

  private:
    void on_state(bool connected);
    void take(wire::DeliverJob&& job, Fd content);
    async::Task<void> deliver(wire::DeliverJob job, Fd content);

    std::size_t capacity_;
    Random random_;
    RouteFinder routes_;
    SessionPool sessions_;
    Services services_;
    async::Scope jobs_;
    ipc::AgentLink queue_;  // last: its jobs use the others
};

}  // namespace postrider::remote_delivery
