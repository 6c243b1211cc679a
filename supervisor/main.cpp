// postriderd, the supervisor: starts the daemons of the suite in the foreground, starts them again when they
// end, and stops them in order. For containers, tests and machines without systemd, which does the same
// there.
//
// May do: run as root, open the listening sockets, start and signal its own children.
// Holds: the listening sockets, so that no client is refused while smtpd is restarted.
// Believes: the configuration, which only root may write. It has no peers and reads nothing from its
// children. When it dies: the daemons go on and are found by whoever started it (a container ends with it;
// systemd ends the control group).

#include "libcommon/daemon/main.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <stdexcept>

#include "libcommon/async/listen.h"
#include "libcommon/config/settings.h"
#include "libcommon/log/log.h"
#include "libcommon/privsep/profile.h"
#include "supervisor/child_process.h"
#include "supervisor/directories.h"
#include "supervisor/supervisor.h"

namespace {

using namespace postrider;

std::string own_folder() {
    std::error_code error;
    return std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
}

/// Whether `daemon` finds no error in the files it reads.
bool check_by(const std::string& folder, const std::string& daemon, const config::Settings& settings) {
    auto pid =
        supervisor::start_process(folder + "/" + daemon, {"--config", settings.config_file, "--check"}, {});
    if (!pid) throw std::runtime_error(pid.error().text);
    int status = 0;
    if (::waitpid(*pid, &status, 0) != *pid || !WIFEXITED(status))
        throw std::runtime_error(daemon + " --check died");
    return WEXITSTATUS(status) != postrider::daemon::kExitConfig;
}

/// The daemons that read more than the general settings look at their files, before anything is started. They
/// print the dangers that they find, which keep nobody from starting.
postrider::daemon::Checked check_tables(const std::string& folder, const config::Settings& settings) {
    const bool router = check_by(folder, "router", settings);
    const bool keyd = settings.tls_certificates.empty() || check_by(folder, "keyd", settings);
    const bool authd = settings.auth.empty() || check_by(folder, "authd", settings);
    return router && keyd && authd ? postrider::daemon::Checked::Good : postrider::daemon::Checked::Errors;
}

Result<std::vector<Fd>> open_sockets(const config::Settings& settings) {
    std::vector<Fd> sockets;
    for (const auto& listener : settings.listeners) {
        if (listener.kind == config::ListenerKind::Local) continue;  // smtpd makes it in run_dir
        sockaddr_storage address{};
        const socklen_t length = config::Endpoint{listener.address, listener.port}.to_socket(address);
        const auto backlog = static_cast<int>(settings.limits.size(config::Limit::ListenBacklog));
        auto socket = async::listen_tcp(address, length, backlog);
        if (!socket) {
            return temporary(fmt::format("listen {}: {}", listener.endpoint_text(), socket.error().text));
        }
        sockets.push_back(std::move(*socket));
    }
    return sockets;
}

int serve(const config::Settings& settings, const std::string& folder) {
    auto prepared = supervisor::prepare_directories(settings);
    if (!prepared) throw std::runtime_error(prepared.error().text);
    auto sockets = open_sockets(settings);
    if (!sockets) throw std::runtime_error(sockets.error().text);
    privsep::Paths paths;
    paths.run_directory = settings.run_dir;
    privsep::confine(privsep::Daemon::Supervisor, {}, paths);

    async::Loop loop;
    supervisor::Supervisor supervisor(loop, settings, folder, std::move(*sockets));
    async::SignalHandler on_child(loop, SIGCHLD, [&supervisor] { supervisor.reap(); });
    async::SignalHandler on_term(loop, SIGTERM, [&supervisor] { supervisor.stop(); });
    async::SignalHandler on_int(loop, SIGINT, [&supervisor] { supervisor.stop(); });
    async::SignalHandler on_hup(loop, SIGHUP, [&supervisor] { supervisor.reload(); });
    supervisor.start();
    loop.run();
    log::info("stopped");
    return postrider::daemon::kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string folder = own_folder();
    postrider::daemon::Program program;
    program.name = "postriderd";
    program.check = [&folder](const config::LoadResult& loaded) {
        return check_tables(folder, loaded.known());
    };
    program.serve = [&folder](const config::Settings& settings, std::optional<unsigned>) {
        return serve(settings, folder);
    };
    return postrider::daemon::run(program, argc, argv);
}
