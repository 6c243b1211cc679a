#include "supervisor/supervisor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <thread>

#include "libcommon/base/file.h"
#include "libcommon/log/log.h"
#include "supervisor/child_process.h"

namespace postrider::supervisor {

namespace {

using config::Limit;

// Read by `postrider status`: one line a daemon, "NAME PID RESTARTS".
constexpr const char* kDaemonFile = "daemons";
constexpr Milliseconds kStopPoll{20};

std::string describe(int status) {
    if (WIFEXITED(status)) return fmt::format("exit {}", WEXITSTATUS(status));
    return fmt::format("signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
}

}  // namespace

Supervisor::Supervisor(async::Loop& loop, const config::Settings& settings, std::string folder,
                       std::vector<Fd> sockets)
    : loop_(loop),
      grace_(settings.limits.time(Limit::ShutdownGrace)),
      folder_(std::move(folder)),
      sockets_(std::move(sockets)),
      restarts_(loop),
      stopper_(loop) {
    const RestartPolicy policy(settings.limits.time(Limit::RespawnDelay),
                               settings.limits.time(Limit::RespawnDelayMax));
    const unsigned workers = std::max(1U, std::thread::hardware_concurrency());
    for (auto& spec : daemons_of(settings, workers)) {
        daemons_.push_back(std::make_unique<Daemon>(std::move(spec), policy));
    }
}

void Supervisor::start() {
    for (auto& daemon : daemons_)
        start_daemon(*daemon);
    write_daemon_file();
}

void Supervisor::start_daemon(Daemon& daemon) {
    static const std::vector<Fd> no_sockets;
    daemon.started = loop_.now();
    auto pid = start_process(fmt::format("{}/{}", folder_, daemon.spec.executable), daemon.spec.arguments,
                             daemon.spec.gets_listening_sockets ? sockets_ : no_sockets);
    if (!pid) {
        log::error("cannot start").add("daemon", daemon.spec.name).add("reason", pid.error().text);
        restart_later(daemon, Milliseconds(0));
        return;
    }
    daemon.pid = *pid;
    log::info("started").add("daemon", daemon.spec.name).add("child", daemon.pid);
}

void Supervisor::reap() {
    int status = 0;
    for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0; pid = ::waitpid(-1, &status, WNOHANG)) {
        auto found = std::find_if(daemons_.begin(), daemons_.end(),
                                  [pid](const auto& daemon) { return daemon->pid == pid; });
        if (found != daemons_.end()) ended(**found, status);
    }
}

void Supervisor::ended(Daemon& daemon, int status) {
    const pid_t pid = std::exchange(daemon.pid, 0);
    const auto ran = std::chrono::duration_cast<Milliseconds>(loop_.now() - daemon.started);
    const bool expected = stopping_ && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    log::Line(expected ? log::Level::Info : log::Level::Warning, "ended")
        .add("daemon", daemon.spec.name)
        .add("child", pid)
        .add("how", describe(status))
        .add("ran_ms", ran.count());
    if (!stopping_) restart_later(daemon, ran);
    write_daemon_file();
}

void Supervisor::restart_later(Daemon& daemon, Milliseconds ran) {
    restarts_.spawn(restart_after(daemon, daemon.policy.delay_after(ran)));
}

async::Task<void> Supervisor::restart_after(Daemon& daemon, Milliseconds delay) {
    co_await async::Sleep(loop_, delay);
    ++daemon.restarts;
    start_daemon(daemon);
    write_daemon_file();
}

void Supervisor::reload() {
    log::info("reload");
    for (const auto& daemon : daemons_) {
        if (daemon->pid > 0) static_cast<void>(::kill(daemon->pid, SIGHUP));
    }
}

void Supervisor::stop() {
    if (stopping_) return;
    stopping_ = true;
    log::info("stopping");
    restarts_.cancel_all();
    stopper_.spawn(stop_all());
}

async::Task<void> Supervisor::stop_all() {
    // A daemon uses up to shutdown_grace to finish what is in flight; it gets a moment more to say so.
    const auto limit = grace_ + std::chrono::seconds(2);
    for (StopStage stage : kStopStages) {
        bool stopped = co_await stop_stage(stage, SIGTERM, loop_.after(limit));
        if (stopped) continue;
        co_await stop_stage(stage, SIGKILL, loop_.after(limit));
    }
    static_cast<void>(std::remove(kDaemonFile));
    loop_.stop();
}

async::Task<bool> Supervisor::stop_stage(StopStage stage, int signal, async::Deadline deadline) {
    auto running = [this, stage] {
        return std::any_of(daemons_.begin(), daemons_.end(), [stage](const auto& daemon) {
            return daemon->spec.stage == stage && daemon->pid > 0;
        });
    };
    for (const auto& daemon : daemons_) {
        if (daemon->spec.stage == stage && daemon->pid > 0) static_cast<void>(::kill(daemon->pid, signal));
    }
    while (running() && loop_.now() < *deadline) {
        co_await async::Sleep(loop_, kStopPoll);
        reap();
    }
    co_return !running();
}

void Supervisor::write_daemon_file() const {
    std::string text;
    for (const auto& daemon : daemons_) {
        if (daemon->pid > 0)
            text += fmt::format("{} {} {}\n", daemon->spec.name, daemon->pid, daemon->restarts);
    }
    const std::string next = std::string(kDaemonFile) + ".new";
    Fd file(::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!file || !write_all(file, text) || std::rename(next.c_str(), kDaemonFile) != 0) {
        log::warning("cannot write the list of daemons")
            .add("file", kDaemonFile)
            .add("reason", std::strerror(errno));
    }
}

}  // namespace postrider::supervisor
