#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "libcommon/async/scope.h"
#include "libcommon/base/fd.h"
#include "libcommon/config/settings.h"
#include "supervisor/daemon_list.h"
#include "supervisor/restart_policy.h"

namespace postrider::supervisor {

/// Keeps every daemon of the suite running until it is told to stop.
///
/// The listening sockets are opened once, here, and stay open while smtpd is restarted: clients that connect
/// meanwhile wait in the backlog instead of being refused.
class Supervisor {
  public:
    /// `folder` holds the executables. `sockets` are the listening sockets for smtpd. The working directory
    /// is run_dir.
    Supervisor(async::Loop& loop, const config::Settings& settings, std::string folder,
               std::vector<Fd> sockets);

    /// Starts all daemons.
    void start();

    /// A child ended (SIGCHLD): notes it, and starts it again after a while.
    void reap();

    /// Passes SIGHUP on: the daemons look at their files again.
    void reload();

    /// Ends the daemons stage by stage, then stops the loop. What does not end within shutdown_grace is
    /// killed; mail that was in flight stays in the queue.
    void stop();

  private:
    struct Daemon {
        Daemon(DaemonSpec spec_in, RestartPolicy policy_in) : spec(std::move(spec_in)), policy(policy_in) {}
        DaemonSpec spec;
        RestartPolicy policy;
        pid_t pid = 0;  // 0: not running
        SteadyTime started{};
        std::uint64_t restarts = 0;
    };

    void start_daemon(Daemon& daemon);
    void restart_later(Daemon& daemon, Milliseconds ran);
    async::Task<void> restart_after(Daemon& daemon, Milliseconds delay);
    async::Task<void> stop_all();
    async::Task<bool> stop_stage(StopStage stage, int signal, async::Deadline deadline);
    void ended(Daemon& daemon, int status);
    void write_daemon_file() const;

    async::Loop& loop_;
    Milliseconds grace_;
    std::string folder_;
    std::vector<Fd> sockets_;
    std::vector<std::unique_ptr<Daemon>> daemons_;
    bool stopping_ = false;
    async::Scope restarts_;
    async::Scope stopper_;
};

}  // namespace postrider::supervisor
