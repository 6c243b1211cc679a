// router, the daemon that decides: what a client, a sender, a recipient is allowed, and where an address
// goes.
//
// May do: read the configuration, the tables it names and the system's user database, and ask DNS servers. As
//     root it only opens the folders of the tables and creates router.sock; then it becomes pr-router, which
//     writes nothing, starts nothing and sends nothing to the network but its questions to DNS servers.
// Holds: all tables in memory, router.sock, and one descriptor of each folder with tables, to read them again
// when
//     they change.
// Believes: the tables, which only an administrator may write (lists that an alias includes may be a user's:
//     they name addresses, no programs and no files). Of its peers it believes what smtpd says of a client
//     and what the kernel says of smtpd; a question its role may not ask, or a frame that does not parse,
//     ends the connection. Of DNS servers it believes answers to its own questions; no answer opens anything
//     by failing to come.
// When it dies: nothing is lost, it keeps no state. Until it is back smtpd answers 451 and the queue-manager
// waits.

#include "libcommon/daemon/main.h"

#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <utility>

#include "libcommon/daemon/users.h"
#include "libcommon/dns/resolver.h"
#include "libcommon/ipc/channel.h"
#include "libcommon/ipc/server.h"
#include "libcommon/log/log.h"
#include "libcommon/privsep/profile.h"
#include "libcommon/privsep/steps.h"
#include "router/check.h"
#include "router/check_forwarding.h"
#include "router/question_facts.h"
#include "router/service.h"
#include "router/table_loader.h"
#include "router/table_watch.h"
#include "router/users.h"

namespace {

using namespace postrider;
using namespace postrider::router;

constexpr const char* kSocket = "router.sock";

/// Whoever may enter run_dir may connect; what he may ask is decided from his credentials.
constexpr mode_t kSocketMode = 0666;

/// Session workers, queue-managers and administrators at the same time.
constexpr std::size_t kMaximumPeers = 1024;

/// Look-ups of users at the same time; each of them is short, or waits for a server.
constexpr std::size_t kThreads = 4;
constexpr std::size_t kWaitingJobs = 4096;

constexpr int kLargeBlock = 1 << 20;

/// The tables as they were read before the change of user.
struct Start {
    std::shared_ptr<TableLoader> loader;
    LoadOutcome outcome;
};

/// How many there are.
std::size_t print_all(std::string_view prefix, const std::vector<std::string>& lines) {
    for (const std::string& line : lines)
        fmt::print(stderr, "{}{}\n", prefix, line);
    return lines.size();
}

/// The errors that are not among those which were printed already.
std::vector<std::string> further(std::vector<std::string> errors, const std::vector<std::string>& printed) {
    const auto is_printed = [&](const std::string& error) {
        return std::find(printed.begin(), printed.end(), error) != printed.end();
    };
    errors.erase(std::remove_if(errors.begin(), errors.end(), is_printed), errors.end());
    return errors;
}

daemon::Checked load_tables(const config::LoadResult& loaded, Start& start) {
    const config::Settings& settings = loaded.known();
    // Large tables are to be mappings of their own, which go back to the system when others take their place.
    // By itself the C library would keep the first of them for its heap.
    static_cast<void>(::mallopt(M_MMAP_THRESHOLD, kLargeBlock));
    const std::string path = std::filesystem::absolute(settings.config_file).string();
    start.loader = std::make_shared<TableLoader>(path, settings.hostname);
    start.outcome = start.loader->load(nullptr);
    print_all("", further(start.outcome.errors, loaded.errors));
    std::size_t dangers = print_all("warning: ", start.outcome.list_errors);
    dangers += print_all("warning: ", start.outcome.dangers);
    print_all("notice: ", start.outcome.notices);
    if (!start.outcome.tables) return daemon::Checked::Errors;
    BlockingFacts facts;
    dangers += print_all("warning: ", find_bad_aliases(*start.outcome.tables, facts));
    dangers += print_all("warning: ", find_bad_forwarding(*start.outcome.tables, facts));
    return dangers == 0 ? daemon::Checked::Good : daemon::Checked::Dangers;
}

void confine(const config::Settings& settings, TableFiles& files) {
    privsep::Paths paths;
    paths.run_directory = settings.run_dir;
    // By descriptor: as pr-router it may not be able to reach them by name, and the sandbox opens them as
    // that.
    paths.readable = files.folders();
    privsep::confine(privsep::Daemon::Router, daemon::identity_of(settings, "router"), paths);
    for (const std::string& problem : files.unreadable()) {
        log::warning("table_not_readable").add("reason", problem).add("effect", "changes need a restart");
    }
}

int serve(const config::Settings& settings, Start start) {
    const ipc::RoleUsers users_of_roles = daemon::role_users(settings);
    privsep::enter_directory(settings.run_dir);
    Result<Fd> socket = ipc::listen_seqpacket(kSocket, kSocketMode);
    if (!socket) throw std::runtime_error(socket.error().text);
    // Both before the confinement: libevent, and OpenSSL for the random numbers of DNS questions, may open
    // files when they are first used.
    async::Loop loop;
    dns::Resolver resolver(loop, dns::ResolverOptions::from(settings));
    confine(settings, start.loader->files());

    async::ThreadPool pool(loop, kThreads, kWaitingJobs);
    UserCache users(loop, pool, UserCacheLimits());
    ExternalUsers external_users(loop, ExternalUserLimits::from(settings.limits));
    FactSources sources{loop, users, resolver, external_users};
    Service service(sources, std::move(start.outcome.tables));
    ipc::Server<wire::RouterRequest, wire::RouterReply, Service> server(
        loop, std::move(*socket), kSocket, users_of_roles, kMaximumPeers, service);
    TableWatch watch(loop, start.loader, service, sources,
                     settings.limits.time(config::Limit::TablePollInterval));
    const async::SignalHandler on_term(loop, SIGTERM, [&loop] { loop.stop(); });
    const async::SignalHandler on_interrupt(loop, SIGINT, [&loop] { loop.stop(); });
    const async::SignalHandler on_hangup(loop, SIGHUP, [&watch] { watch.reload(); });
    server.start();
    watch.start();
    log::info("started").add("local_domains", service.tables()->local_domains.size());
    loop.run();
    server.stop();
    log::info("stopped");
    return postrider::daemon::kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
    auto start = std::make_shared<Start>();
    postrider::daemon::Program program;
    program.name = "router";
    program.check = [start](const config::LoadResult& loaded) { return load_tables(loaded, *start); };
    program.serve = [start](const config::Settings& settings, std::optional<unsigned> /*worker*/) {
        return serve(settings, std::move(*start));
    };
    return postrider::daemon::run(program, argc, argv);
}
