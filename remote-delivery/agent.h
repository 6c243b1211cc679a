#pragma once

#include <cstddef>
#include <vector>

#include "libcommon/async/loop.h"
#include "libcommon/async/scope.h"
#include "libcommon/base/fd.h"
#include "libcommon/config/settings.h"
#include "libcommon/ipc/client.h"
#include "libcommon/ipc/queue.pb.h"
#include "remote-delivery/job.h"
#include "remote-delivery/pool.h"
#include "remote-delivery/preference.h"
#include "remote-delivery/route.h"
#include "remote-delivery/self.h"

namespace postrider::remote_delivery {

/// The daemon: takes jobs from the queue-manager, runs them beside each other, and reports.
///
/// When the connection to the queue-manager is lost all jobs are dropped: it gives them to somebody else, and
/// what has no final dot yet is then not delivered twice.
class Agent {
  public:
    /// `capacity` is how many jobs it takes at the same time. The references outlive the agent.
    Agent(async::Loop& loop, const config::Settings& settings, const Self& self, dns::Resolver& resolver,
          std::size_t capacity);
    Agent(const Agent&) = delete;
    Agent& operator=(const Agent&) = delete;

    /// Connects to the queue-manager, and from then on keeps the connection; returns at once.
    void start();

    /// Takes no more jobs, lets those under way end until `deadline`, and closes the idle sessions.
    async::Task<void> shut_down(async::Deadline deadline);

  private:
    void on_state(bool connected);
    void on_notice(wire::QueueReply&& notice, std::vector<Fd> descriptors);
    void announce(std::size_t capacity);
    async::Task<void> deliver(wire::DeliverJob job, Fd content);
    void report(wire::DeliveryReport report);

    std::size_t capacity_;
    Random random_;
    RouteFinder routes_;
    SessionPool sessions_;
    Services services_;
    async::Scope jobs_;
    ipc::Client<wire::QueueRequest, wire::QueueReply> queue_;  // the last member: its notices use the others
};

}  // namespace postrider::remote_delivery
