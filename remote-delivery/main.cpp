// remote-delivery: the SMTP client. Takes messages from the queue-manager and sends them to other hosts.
//
// May do: ask DNS servers, open TCP connections to anywhere, connect to queue.sock. It opens no file and
// starts no process; its root is the run directory. Holds: read-only descriptors of the queue files that are
// being sent, connections to mail servers. Believes: the queue-manager about what is to be sent where. Of DNS
// servers it believes answers to its own questions; of mail servers what they say about the mail they were
// offered, and nothing else. When it dies: the queue-manager gives its jobs back to the queue and they are
// tried again. A message whose end was sent and not yet answered may then arrive twice.

#include "libcommon/daemon/main.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <stdexcept>

#include "libcommon/async/loop.h"
#include "libcommon/config/self.h"
#include "libcommon/config/settings.h"
#include "libcommon/daemon/users.h"
#include "libcommon/dns/resolver.h"
#include "libcommon/log/log.h"
#include "libcommon/privsep/profile.h"
#include "remote-delivery/agent.h"

namespace {

using namespace postrider;
using config::Limit;

constexpr const char* kName = "remote-delivery";

// The queue file, the connection, a DNS question, an idle and a parting session for each job, and one to
// spare.
constexpr rlim_t kDescriptorsPerJob = 6;

/// How many jobs fit into the limits table and the descriptors we may have.
std::size_t capacity_of(const config::Settings& settings) {
    std::size_t capacity = settings.limits.size(Limit::RemoteDeliveries);
    rlim_t descriptors =
        privsep::confinement_of(privsep::Daemon::RemoteDelivery).limits.descriptors.value_or(0);
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) descriptors = std::min(descriptors, limit.rlim_max);
    capacity = std::min<std::size_t>(capacity, descriptors / kDescriptorsPerJob);
    return std::max<std::size_t>(capacity, 1);
}

async::Task<void> stop(async::Loop& loop, remote_delivery::Agent& agent, Milliseconds grace) {
    co_await agent.shut_down(loop.after(grace));
    loop.stop();
}

int serve(const config::Settings& settings) {
    // A reload is a restart for this daemon, which could not read its files again.
    std::signal(SIGHUP, SIG_IGN);
    const privsep::Identity identity = daemon::identity_of(settings, kName);
    auto self = config::describe_self(settings);
    if (!self) throw std::runtime_error(self.error().text);
    // All of this before the confinement: libevent, OpenSSL's random numbers and libstdc++ may open files
    // when they are first used.
    async::Loop loop;
    dns::Resolver resolver(loop, dns::ResolverOptions::from(settings));
    remote_delivery::Agent agent(loop, settings, *self, resolver, capacity_of(settings));

    privsep::Paths paths;
    paths.run_directory = settings.run_dir;
    privsep::confine(privsep::Daemon::RemoteDelivery, identity, paths);

    async::Scope ending(loop);
    auto on_signal = [&] {
        if (ending.size() > 0) return;
        log::info("stopping");
        ending.spawn(stop(loop, agent, settings.limits.time(Limit::ShutdownGrace)));
    };
    async::SignalHandler on_term(loop, SIGTERM, on_signal);
    async::SignalHandler on_int(loop, SIGINT, on_signal);
    agent.start();
    log::info("started");
    loop.run();
    log::info("stopped");
    return daemon::kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
    daemon::Program program;
    program.name = kName;
    program.serve = [](const config::Settings& settings, std::optional<unsigned> /*worker*/) {
        return serve(settings);
    };
    return daemon::run(program, argc, argv);
}
