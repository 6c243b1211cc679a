#include "queue-manager/daemon.h"

#include <random>
#include <utility>

#include "libcommon/log/log.h"

namespace postrider::queue_manager {

namespace {

constexpr std::size_t kMaxPeers = 512;
// Of those who only look, so that they keep nobody else out.
constexpr std::size_t kMaxReaders = 64;
constexpr Milliseconds kStopInterval{20};

/// Numbers that only spread attempts in time; nobody gains by guessing them.
JitterSource random_jitter() {
    return [engine = std::minstd_rand(std::random_device()())]() mutable {
        return std::uniform_real_distribution<double>(-1.0, 1.0)(engine);
    };
}

}  // namespace

Daemon::Daemon(async::Loop& loop, const Settings& settings, Spool& spool, Sockets sockets,
               ipc::RoleUsers users)
    : loop_(loop),
      settings_(settings),
      resolver_(loop, settings.ipc_timeout),
      queue_(loop, settings, spool, resolver_, random_jitter()),
      dispatcher_(queue_),
      intake_(loop, settings, spool, queue_),
      admin_(loop, spool, queue_, dispatcher_, intake_),
      quarantine_(loop, spool, queue_),
      steering_(loop, spool, queue_, admin_),
      overview_(loop, spool, queue_),
      handler_(loop, settings, queue_, intake_, dispatcher_, admin_, quarantine_, steering_, overview_),
      server_(loop, std::move(sockets.all), "queue.sock", users, kMaxPeers, handler_),
      read_handler_(handler_),
      readers_(loop, std::move(sockets.readers), "queue-read.sock", users, kMaxReaders, read_handler_),
      stop_timer_(loop, [this] { check_stopped(); }) {}

Result<void> Daemon::start() {
    queue_.on_ready([this] { dispatcher_.offer(); });
    auto started = queue_.start();
    if (!started) return started;
    intake_.start();
    server_.start();
    readers_.start();
    return {};
}

bool Daemon::busy() const {
    return dispatcher_.in_flight() > 0 || intake_.commits_in_flight() > 0 || quarantine_.changing() > 0 ||
           !queue_.idle();
}

void Daemon::stop() {
    if (stop_deadline_) return;
    log::info("stopping").add("jobs", dispatcher_.in_flight());
    stop_deadline_ = loop_.after(settings_.shutdown_grace);
    queue_.stop();
    intake_.stop();
    check_stopped();
}

void Daemon::check_stopped() {
    if (busy() && loop_.now() < *stop_deadline_) return stop_timer_.arm(kStopInterval);
    server_.stop();
    readers_.stop();
    loop_.stop();
}

}  // namespace postrider::queue_manager
