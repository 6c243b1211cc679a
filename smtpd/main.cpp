// smtpd: the process that talks to the internet, in two halves with one executable.
//
// The listener (without --worker) binds the ports as root or takes them from its starter, then is pr-smtpd,
// has run_dir for its root directory and can open nothing in it. It may accept connections and connect to
// queue.sock and router.sock. It holds the listening sockets and a channel to each worker, and believes a
// worker nothing but which of its own sessions have ended. It never reads from a client. When it dies, the
// workers end their sessions and exit; whoever started them starts all again, and clients wait in the backlog
// if the starter owns the sockets.
//
// A session worker (--worker N) is pr-smtpd in an empty root directory. It may open, connect, accept and
// start nothing: it reads, writes and closes the descriptors that the listener and the queue-manager hand to
// it, which are clients, the channels to its peers, and the one file of each message being received; and it
// holds the keys of TLS, which keyd gives it. It believes the listener, the router's verdicts and the
// queue-manager's promises, and nothing that a client says. When it dies, its clients lose their connections,
// messages that were not acknowledged do not exist, and others go on.

#include "libcommon/daemon/main.h"

#include <unistd.h>

#include <csignal>
#include <optional>
#include <stdexcept>
#include <string>

#include "libcommon/async/loop.h"
#include "libcommon/config/settings.h"
#include "libcommon/daemon/users.h"
#include "libcommon/ipc/channel.h"
#include "libcommon/log/log.h"
#include "libcommon/mail/date.h"
#include "libcommon/privsep/profile.h"
#include "libcommon/tls/openssl.h"
#include "smtpd/listener.h"
#include "smtpd/listening_sockets.h"
#include "smtpd/worker.h"

namespace {

using namespace postrider;

privsep::Paths paths(const config::Settings& settings) {
    privsep::Paths paths;
    paths.run_directory = settings.run_dir;
    return paths;
}

// Serves until a signal asks to finish. Server is Listener or Worker.
template <typename Server>
void serve(async::Loop& loop, Server& server) {
    const auto finish = [&server]() { server.finish(); };
    const async::SignalHandler on_terminate(loop, SIGTERM, finish);
    const async::SignalHandler on_interrupt(loop, SIGINT, finish);
    server.start();
    loop.run();
}

void run_listener(const config::Settings& settings) {
    const privsep::Identity who = daemon::identity_of(settings, "smtpd");
    auto clients = smtpd::open_listening_sockets(settings, smtpd::inherited_sockets());
    auto workers = ipc::listen_seqpacket("smtpd.sock", 0600);
    if (!workers) throw std::runtime_error(workers.error().text);
    privsep::confine(privsep::Daemon::SmtpdListener, who, paths(settings));
    async::Loop loop;
    smtpd::Listener listener(loop, settings, std::move(clients), std::move(*workers));
    log::info("listening").add("sockets", settings.listeners.size());
    serve(loop, listener);
}

// The listener may be started after us, or be between two lives.
Fd connect_to_listener() {
    constexpr useconds_t kRetryMicroseconds = 200'000;
    while (true) {
        auto socket = ipc::connect_seqpacket("smtpd.sock");
        if (socket) return std::move(*socket);
        log::debug("the listener is not there").add("reason", socket.error().text);
        ::usleep(kRetryMicroseconds);
    }
}

void run_worker(const config::Settings& settings, std::uint32_t number) {
    const privsep::Identity who = daemon::identity_of(settings, "smtpd");
    // The C library looks for the zone's file at the first conversion of any time, in UTC too; it would die
    // of it.
    mail::load_local_time_zone();
    tls::prepare_library();
    Fd listener = connect_to_listener();
    privsep::confine(privsep::Daemon::SmtpdWorker, who, paths(settings));
    async::Loop loop;
    smtpd::Worker worker(loop, settings, std::move(listener), number);
    serve(loop, worker);
}

}  // namespace

int main(int argc, char** argv) {
    daemon::Program program;
    program.name = "smtpd";
    program.has_workers = true;
    program.serve = [](const config::Settings& settings, std::optional<unsigned> worker) {
        // The configuration is read at the start only: afterwards its files are out of reach, and SIGHUP must
        // not end sessions.
        static_cast<void>(std::signal(SIGHUP, SIG_IGN));
        privsep::enter_directory(settings.run_dir);
        if (worker) {
            run_worker(settings, *worker);
        } else {
            run_listener(settings);
        }
        log::info("stopped");
        return daemon::kExitOk;
    };
    return daemon::run(program, argc, argv);
}
