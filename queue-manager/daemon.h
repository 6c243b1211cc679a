#pragma once

#include "libcommon/async/loop.h"
#include "libcommon/base/fd.h"
#include "libcommon/ipc/server.h"
#include "queue-manager/admin.h"
#include "queue-manager/dispatcher.h"
#include "queue-manager/intake.h"
#include "queue-manager/quarantine.h"
#include "queue-manager/queue.h"
#include "queue-manager/resolver.h"
#include "queue-manager/server.h"
#include "queue-manager/settings.h"
#include "queue-manager/spool.h"

namespace postrider::queue_manager {

/// The parts of the daemon, put together, and how they stop.
class Daemon {
  public:
    /// The sockets that it serves: queue.sock and queue-read.sock.
    struct Sockets {
        Fd all;
        Fd readers;
    };
    /// References outlive the daemon.
    Daemon(async::Loop& loop, const Settings& settings, Spool& spool, Sockets sockets, ipc::RoleUsers users);
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    /// Reads the spool and begins to serve. Error: the spool cannot be read.
    [[nodiscard]] Result<void> start();

    /// Takes and offers nothing new, waits for what is in flight, at most Settings::shutdown_grace, and stops
    /// the loop. What is not done by then stays in the queue.
    void stop();

    [[nodiscard]] Queue& queue() { return queue_; }

  private:
    [[nodiscard]] bool busy() const;
    void check_stopped();

    async::Loop& loop_;
    const Settings& settings_;
    Resolver resolver_;
    Queue queue_;
    Dispatcher dispatcher_;
    Intake intake_;
    Admin admin_;
    Quarantine quarantine_;
    Steering steering_;
    Overview overview_;
    Server handler_;
    ipc::Server<wire::QueueRequest, wire::QueueReply, Server> server_;
    ReadServer read_handler_;
    ipc::Server<wire::QueueRequest, wire::QueueReply, ReadServer> readers_;
    async::Timer stop_timer_;
    async::Deadline stop_deadline_;
};

}  // namespace postrider::queue_manager
