// keyd, the only process that can open the files with the private keys of TLS.
//
// May do: read the files of the `tls_certificate` and `tls_client_ca` lines, again when they change, and
// nothing
//     else: it writes no file, starts nothing and knows no network. As root it keeps one capability, to read
//     files that are closed to others.
// Holds: key.sock, and in sealed memory the certificates and keys as its peers get them; the key of the
// session
//     tickets, which it makes itself.
// Believes: the configuration and the files, which only an administrator may write. Of its peers nothing but
//     what the kernel says: a session worker of smtpd gets the keys, everybody else is disconnected, and so
//     is whoever sends more than its role.
// When it dies: the workers go on with the keys they have; changes of the files wait until it is back, and
//     clients with a session ticket make a full handshake.

#include "libcommon/daemon/main.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <memory>
#include <stdexcept>
#include <utility>

#include "libcommon/config/file_watch.h"
#include "libcommon/daemon/users.h"
#include "libcommon/ipc/channel.h"
#include "libcommon/ipc/server.h"
#include "libcommon/log/log.h"
#include "libcommon/privsep/profile.h"
#include "libcommon/privsep/steps.h"
#include "libcommon/tls/openssl.h"
#include "smtpd/keyd/key_files.h"
#include "smtpd/keyd/key_watch.h"
#include "smtpd/keyd/service.h"

namespace {

using namespace postrider;
using namespace postrider::keyd;

constexpr const char* kSocket = "key.sock";
constexpr mode_t kSocketMode = 0600;

/// Session workers, and those of a second instance during a restart.
constexpr std::size_t kMaximumPeers = 1024;

/// The files as they were read for the check.
struct Start {
    config::FileSet state;
    LoadOutcome outcome;
};

daemon::Checked load_files(const config::Settings& settings, Start& start) {
    tls::prepare_library();
    start.state = config::FileSet(files_of(settings));
    start.outcome = load_key_files(settings);
    for (const std::string& error : start.outcome.errors)
        fmt::print(stderr, "{}\n", error);
    for (const std::string& warning : start.outcome.warnings)
        fmt::print(stderr, "warning: {}\n", warning);
    if (!start.outcome.files) return daemon::Checked::Errors;
    return start.outcome.warnings.empty() ? daemon::Checked::Good : daemon::Checked::Dangers;
}

/// Only the user of smtpd may even connect.
Fd make_socket(const config::Settings& settings) {
    Result<Fd> socket = ipc::listen_seqpacket(kSocket, kSocketMode);
    if (!socket) throw std::runtime_error(socket.error().text);
    const privsep::Identity smtpd = daemon::identity_of(settings, "smtpd");
    if (::geteuid() == 0 && ::chown(kSocket, smtpd.uid, smtpd.gid) < 0) {
        throw std::runtime_error(system_failure("chown key.sock", errno).value().text);
    }
    return std::move(*socket);
}

int serve(const config::Settings& settings, Start start) {
    if (settings.tls_certificates.empty()) {
        log::info("no tls_certificate line: there is nothing to hold");
        return postrider::daemon::kExitOk;
    }
    // Nobody else is served, so nobody else need be known.
    ipc::RoleUsers users_of_roles;
    if (::geteuid() == 0) users_of_roles.smtpd = daemon::identity_of(settings, "smtpd").uid;
    privsep::enter_directory(settings.run_dir);
    Fd socket = make_socket(settings);
    privsep::Paths paths;
    paths.run_directory = settings.run_dir;
    paths.readable = folders_of(settings);
    privsep::confine(privsep::Daemon::Keyd, {}, paths);

    async::Loop loop;
    const std::size_t certificates = start.outcome.files->pairs.size();
    Service service(std::move(*start.outcome.files));
    ipc::Server<wire::KeyRequest, wire::KeyReply, Service> server(loop, std::move(socket), kSocket,
                                                                  users_of_roles, kMaximumPeers, service);
    KeyWatch watch(loop, settings, std::move(start.state), service);
    const async::SignalHandler on_term(loop, SIGTERM, [&loop] { loop.stop(); });
    const async::SignalHandler on_interrupt(loop, SIGINT, [&loop] { loop.stop(); });
    const async::SignalHandler on_hangup(loop, SIGHUP, [&watch] { watch.reload(); });
    server.start();
    watch.start();
    log::info("started").add("certificates", certificates);
    loop.run();
    server.stop();
    log::info("stopped");
    return postrider::daemon::kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
    auto start = std::make_shared<Start>();
    postrider::daemon::Program program;
    program.name = "keyd";
    program.check = [start](const config::LoadResult& loaded) { return load_files(loaded.known(), *start); };
    program.serve = [start](const config::Settings& settings, std::optional<unsigned> /*worker*/) {
        return serve(settings, std::move(*start));
    };
    return postrider::daemon::run(program, argc, argv);
}
