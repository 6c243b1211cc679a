// queue-manager, the daemon that owns the queue: it alone has a path to the spool.
//
// May do: create, read, rename and remove files below the spool; serve queue.sock and connect to router.sock
// in
//     the run directory. As root it only makes the spool and the socket; then it becomes pr-queue. It has no
//     network, starts no program, and cannot open a mailbox, a table or a key.
// Holds: every message that was answered with 250. What is in memory can be rebuilt from the spool at any
// instant. Believes: the router about where an address goes, because routing is the router's to decide. Of
// smtpd it
//     believes nothing but the content of smtpd's own messages; of an agent, what became of the deliveries it
//     was given, and of no others. A frame that a role may not send, or that makes no sense, ends the
//     connection.
// When it dies: nothing is lost. smtpd answers 451 until it is back; agents finish what they have and find it
//     offered again, which can make a second copy of what was in flight; all else continues from the
//     journals.

#include "libcommon/daemon/main.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "libcommon/daemon/users.h"
#include "libcommon/ipc/channel.h"
#include "libcommon/log/log.h"
#include "libcommon/privsep/profile.h"
#include "libcommon/privsep/steps.h"
#include "queue-manager/daemon.h"
#include "queue-manager/test_clock.h"

namespace {

using namespace postrider;
using namespace postrider::queue_manager;

constexpr const char* kSocket = "queue.sock";
constexpr const char* kReadSocket = "queue-read.sock";

/// Whoever may enter run_dir may connect; what he may do is decided from his credentials.
constexpr mode_t kSocketMode = 0666;
constexpr mode_t kSpoolMode = 0700;
constexpr mode_t kFileMask = 077;

/// Schedules of routes are in local time, whose file is out of reach later. With TZ set the C library does
/// not look for it again.
void use_local_time() {
    ::setenv("TZ", ":/etc/localtime", 0);
    ::tzset();
}

/// Makes the spool on the first start, for the user that will own the queue.
void prepare_spool(const config::Settings& settings, const privsep::Identity& identity) {
    if (::mkdir(settings.spool_dir.c_str(), kSpoolMode) != 0) {
        if (errno == EEXIST) return;
        throw std::system_error(errno, std::generic_category(), settings.spool_dir);
    }
    if (::geteuid() == 0 && ::chown(settings.spool_dir.c_str(), identity.uid, identity.gid) != 0) {
        throw std::system_error(errno, std::generic_category(), settings.spool_dir);
    }
    // Made now, it has to be there after a power cut with what the first commits put into it.
    const Fd parent(::open((settings.spool_dir + "/..").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!parent || ::fsync(parent.get()) != 0) {
        throw std::system_error(errno, std::generic_category(), settings.spool_dir + "/..");
    }
}

bool wants_directory_sync(const config::Settings& settings) {
    if (settings.queue_directory_sync == config::DirectorySync::Auto)
        return needs_directory_sync(settings.spool_dir);
    return settings.queue_directory_sync == config::DirectorySync::Yes;
}

int serve(const config::Settings& config) {
    const Settings settings = settings_from(config);
    ipc::RoleUsers users = postrider::daemon::role_users(config);
    if (!config.queue_readers.empty()) {
        const auto group = config::resolve_group(config.queue_readers);
        if (!group) throw std::runtime_error("queue_readers: " + group.error().text);
        users.readers = *group;
    }
    const privsep::Identity identity = postrider::daemon::identity_of(config, "queue-manager");
    ::umask(kFileMask);
    prepare_spool(config, identity);
    const bool sync_directory = wants_directory_sync(config);

    use_local_time();
    privsep::enter_directory(config.run_dir);
    Result<Fd> socket = ipc::listen_seqpacket(kSocket, kSocketMode);
    if (!socket) throw std::runtime_error(socket.error().text);
    Result<Fd> read_socket = ipc::listen_seqpacket(kReadSocket, kSocketMode);
    if (!read_socket) throw std::runtime_error(read_socket.error().text);
#ifdef POSTRIDER_TEST_CLOCK
    Fd clock_socket = TestClock::listen();
#endif
    privsep::Paths paths;
    paths.run_directory = config.run_dir;
    paths.spool_directory = config.spool_dir;
    privsep::confine(privsep::Daemon::QueueManager, identity, paths);

    // Everything below runs as pr-queue: the files of the spool are its own.
    Spool spool(config.spool_dir, sync_directory);
    async::Loop loop;
    queue_manager::Daemon daemon(loop, settings, spool, {std::move(*socket), std::move(*read_socket)}, users);
    const async::SignalHandler on_term(loop, SIGTERM, [&daemon] { daemon.stop(); });
    const async::SignalHandler on_interrupt(loop, SIGINT, [&daemon] { daemon.stop(); });
#ifdef POSTRIDER_TEST_CLOCK
    std::optional<TestClock> clock;
    if (clock_socket) clock.emplace(loop, std::move(clock_socket), daemon.queue());
#endif
    const Result<void> started = daemon.start();
    if (!started) throw std::runtime_error(started.error().text);
    log::info("started").add("directory_sync", sync_directory);
    loop.run();
    log::info("stopped");
    return postrider::daemon::kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
    postrider::daemon::Program program;
    program.name = "queue-manager";
    program.serve = [](const config::Settings& settings, std::optional<unsigned> /*worker*/) {
        return serve(settings);
    };
    return postrider::daemon::run(program, argc, argv);
}
