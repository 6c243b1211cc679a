// authd, the daemon that knows the passwords: it leads the SASL exchanges of smtpd's clients, checks what
// they claim, and counts failures across all sessions.
//
// May do: read the password files, connect to the socket of a Dovecot, answer on auth.sock. It opens no
// network
//     connection, writes no file and starts no program. Where `auth pam` is configured, a process forked at
//     the very start keeps root and starts the helpers in which PAM modules run; it takes orders from nobody
//     but this process, and the only orders are "another helper for this slot".
// Holds: the tables of the password files, in memory; passwords while they are checked, and wiped afterwards;
// the
//     counts of failures.
// Believes: the password files, which only an administrator may write. Of smtpd it believes which client says
//     what; of PAM modules and Dovecot it believes their verdicts, and nothing else they say. A frame that a
//     role may not send, or that does not parse, ends the connection.
// When it dies: exchanges under way end with 454, and the counts of failures begin anew. smtpd waits a moment
// for
//     its restart. No mail is touched.

#include "libcommon/daemon/main.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>

#include "libcommon/daemon/users.h"
#include "libcommon/ipc/channel.h"
#include "libcommon/ipc/server.h"
#include "libcommon/log/log.h"
#include "libcommon/privsep/profile.h"
#include "libcommon/privsep/steps.h"
#include "smtpd/auth/dovecot.h"
#include "smtpd/auth/pam_check.h"
#include "smtpd/auth/pam_pool.h"
#include "smtpd/auth/pam_spawner.h"
#include "smtpd/auth/password_file.h"
#include "smtpd/auth/service.h"

namespace {

using namespace postrider;
using namespace postrider::auth;
using config::AuthKind;
using config::Limit;

constexpr const char* kSocket = "auth.sock";

/// Whoever may enter run_dir may connect; what he may ask is decided from his credentials.
constexpr mode_t kSocketMode = 0666;

/// Session workers and administrators at the same time.
constexpr std::size_t kMaximumPeers = 1024;

/// Passwords that wait for a thread; with more, answers would come too late for anybody.
constexpr std::size_t kWaitingJobs = 1024;

/// The password files as they were read before the change of user, in the order of their lines.
using Tables = std::vector<std::shared_ptr<const PasswordTable>>;

daemon::Checked load_tables(const config::Settings& settings, Tables& tables) {
    bool good = true;
    bool dangers = false;
    for (const config::AuthMethod& method : settings.auth) {
        if (method.kind == AuthKind::Pam && !pam_service_exists(method.service)) {
            fmt::print(stderr, "warning: {}: there is no /etc/pam.d/{}, so that nobody can log in\n",
                       method.position.text(), method.service);
            dangers = true;
        }
        if (method.kind != AuthKind::PasswdFile) continue;
        PasswordFileLoad load = load_password_file(method.path, settings.limits.size(Limit::TableSize));
        for (const std::string& error : load.errors)
            fmt::print(stderr, "{}\n", error);
        good = good && load.table != nullptr;
        tables.push_back(std::move(load.table));
    }
    if (!good) return daemon::Checked::Errors;
    return dangers ? daemon::Checked::Dangers : daemon::Checked::Good;
}

bool uses(const config::Settings& settings, AuthKind kind) {
    return std::any_of(settings.auth.begin(), settings.auth.end(),
                       [kind](const config::AuthMethod& method) { return method.kind == kind; });
}

/// The spawner's socket; empty where no line asks for PAM.
Fd start_pam(const config::Settings& settings) {
    if (!uses(settings, AuthKind::Pam)) return {};
    return start_pam_spawner(check_by_pam, [] {
        privsep::Paths paths;
        paths.run_directory = "/";
        privsep::confine(privsep::Daemon::AuthHelper, {}, paths);
    });
}

void confine(const config::Settings& settings) {
    privsep::Paths paths;
    paths.run_directory = settings.run_dir;
    for (const config::AuthMethod& method : settings.auth) {
        // The folder, because an editor puts a new file in the place of the old one.
        if (method.kind == AuthKind::PasswdFile) {
            paths.readable.push_back(std::filesystem::path(method.path).parent_path().string());
        }
    }
    privsep::confine(privsep::Daemon::Authd, daemon::identity_of(settings, "authd"), paths);
    for (const config::AuthMethod& method : settings.auth) {
        if (method.kind != AuthKind::PasswdFile || ::access(method.path.c_str(), R_OK) == 0) continue;
        log::warning("password_file_not_readable")
            .add("file", method.path)
            .add("effect", "changes need a restart");
    }
}

ServiceSettings service_settings(const config::Settings& settings) {
    const config::Limits& limits = settings.limits;
    ServiceSettings result;
    result.failures.client = settings.auth_failures_per_client;
    result.failures.account = settings.auth_failures_per_account;
    result.failures.delay = limits.time(Limit::ErrorDelay);
    result.failures.delay_max = limits.time(Limit::ErrorDelayMax);
    result.failures.lock = limits.time(Limit::AuthAccountLock);
    result.failures.lock_max = limits.time(Limit::AuthAccountLockMax);
    result.failures.tracked = limits.size(Limit::AuthTracked);
    result.timeout = limits.time(Limit::AuthTimeout);
    // A session has one exchange at a time, and the cancelling of the last one may still be on its way.
    result.exchanges_per_peer = limits.size(Limit::MaxConnections) * 2;
    result.client_prefixes = config::ClientPrefixes(limits);
    return result;
}

/// The methods of the configuration, and what they stand on.
class Methods {
  public:
    Methods(async::Loop& loop, async::ThreadPool& pool, const config::Settings& settings, Fd spawner)
        : loop_(loop), pool_(pool), settings_(settings) {
        if (!spawner) return;
        pam_ =
            std::make_unique<PamPool>(loop, std::move(spawner), settings.limits.size(Limit::AuthPamProcesses),
                                      settings.limits.get(Limit::ProcessJobs));
    }

    /// Adds them to `service` and sets them going. `lost` is called when PAM is gone for good.
    void start(Service& service, const Tables& tables, std::function<void()> lost) {
        std::size_t next_table = 0;
        for (const config::AuthMethod& method : settings_.auth) {
            if (method.kind == AuthKind::Pam) {
                service.add(std::make_unique<Pam>(*pam_, method.service));
            } else if (method.kind == AuthKind::Dovecot) {
                auto dovecot = std::make_unique<Dovecot>(loop_, method.path);
                dovecot->start();
                service.add(std::unique_ptr<Method>(std::move(dovecot)));
            } else {
                add_file(service, method.path, tables[next_table++]);
            }
        }
        if (!pam_) return;
        pam_->start(std::move(lost));
        service.on_status([this](wire::AuthState& state) {
            wire::Counter& counter = *state.add_counters();
            counter.set_name("pam_helpers_replaced");
            counter.set_value(pam_->failures());
        });
    }

  private:
    void add_file(Service& service, const std::string& path, std::shared_ptr<const PasswordTable> table) {
        auto file = std::make_unique<PasswordFile>(loop_, pool_, path,
                                                   settings_.limits.size(Limit::TableSize), std::move(table));
        file->watch(settings_.limits.time(Limit::TablePollInterval), [&service] { service.offer_changed(); });
        service.add(std::move(file));
    }

    async::Loop& loop_;
    async::ThreadPool& pool_;
    const config::Settings& settings_;
    std::unique_ptr<PamPool> pam_;
};

int serve(const config::Settings& settings, const Tables& tables) {
    Fd spawner = start_pam(settings);
    const ipc::RoleUsers users = daemon::role_users(settings);
    privsep::enter_directory(settings.run_dir);
    Result<Fd> socket = ipc::listen_seqpacket(kSocket, kSocketMode);
    if (!socket) throw std::runtime_error(socket.error().text);
    // Both read files of the system when they are used first.
    SaslLibrary library;
    confine(settings);

    async::Loop loop;
    async::ThreadPool pool(loop, std::max(1U, std::thread::hardware_concurrency()), kWaitingJobs);
    Methods methods(loop, pool, settings, std::move(spawner));
    Service service(loop, library, service_settings(settings));
    int status = daemon::kExitOk;
    methods.start(service, tables, [&loop, &status] {
        status = daemon::kExitSystem;
        loop.stop();
    });
    ipc::Server<wire::AuthRequest, wire::AuthReply, Service> server(loop, std::move(*socket), kSocket, users,
                                                                    kMaximumPeers, service);
    const async::SignalHandler on_term(loop, SIGTERM, [&loop] { loop.stop(); });
    const async::SignalHandler on_interrupt(loop, SIGINT, [&loop] { loop.stop(); });
    // Everybody else reads again what changed; the password files are looked at anyway.
    const async::SignalHandler on_hangup(loop, SIGHUP, [] {});
    server.start();
    log::info("started").add("methods", settings.auth.size());
    loop.run();
    server.stop();
    log::info("stopped");
    return status;
}

}  // namespace

int main(int argc, char** argv) {
    auto tables = std::make_shared<Tables>();
    postrider::daemon::Program program;
    program.name = "authd";
    program.check = [tables](const config::LoadResult& loaded) {
        return load_tables(loaded.known(), *tables);
    };
    program.serve = [tables](const config::Settings& settings, std::optional<unsigned> /*worker*/) {
        return serve(settings, *tables);
    };
    return postrider::daemon::run(program, argc, argv);
}
