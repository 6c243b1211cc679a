// local-delivery, the parent: hands messages to children that run as the recipients' users.
//
// May do: be root, but only as far as it takes to fork, to change to another user and to end its children; it
// opens no network socket. A child has the recipient's rights and no others.
// Holds: the channel to the queue-manager, a socket to each child, read-only descriptors of messages in
// transfer. Believes: the queue-manager about messages, and the router (through it) about which uid and path
// a recipient has; but it never delivers as root. It believes a child only about the job the child was given.
// When it dies: its children see their sockets close and end after the delivery they are in; the
// queue-manager gives the jobs to the next local-delivery. A delivery that was finished but not reported is
// made twice.

#include "libcommon/daemon/main.h"

#include <csignal>

#include "libcommon/config/settings.h"
#include "libcommon/log/log.h"
#include "libcommon/privsep/profile.h"
#include "local-delivery/agent.h"

namespace {

using namespace postrider;

constexpr Milliseconds kExpireInterval{10'000};

async::Task<void> drain_and_stop(async::Loop& loop, local_delivery::Agent& agent, Milliseconds grace) {
    bool drained = co_await agent.drain(loop.after(grace));
    if (!drained) log::warning("stopping with deliveries in flight");
    loop.stop();
}

int serve(const config::Settings& settings) {
    privsep::Paths paths;
    paths.run_directory = settings.run_dir;
    privsep::confine(privsep::Daemon::LocalDelivery, {}, paths);

    async::Loop loop;
    local_delivery::Agent agent(loop, settings);
    async::Scope stopper(loop);
    const Milliseconds grace = settings.limits.time(config::Limit::ShutdownGrace);
    async::SignalHandler on_child(loop, SIGCHLD, [&agent] { agent.children().reap(); });
    async::SignalHandler on_hangup(loop, SIGHUP, [] {});
    async::SignalHandler on_term(loop, SIGTERM, [&] {
        if (stopper.size() == 0) stopper.spawn(drain_and_stop(loop, agent, grace));
    });
    async::Timer expire(loop, [&] {
        agent.children().expire();
        expire.arm(kExpireInterval);
    });
    expire.arm(kExpireInterval);
    agent.start();
    log::info("ready");
    loop.run();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    postrider::daemon::Program program;
    program.name = "local-delivery";
    program.serve = [](const config::Settings& settings, std::optional<unsigned>) { return serve(settings); };
    return postrider::daemon::run(program, argc, argv);
}
