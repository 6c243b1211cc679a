#include "smtpd/auth/pam_pool.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "libcommon/async/stream.h"
#include "libcommon/log/log.h"

namespace postrider::auth {

class PamPool::Lease {
  public:
    Lease(PamPool& pool, Helper& helper) : pool_(pool), helper_(helper) { helper_.busy = true; }
    ~Lease() {
        helper_.busy = false;
        // Whoever does not wait for the answer cannot leave it for the next one to read as his.
        if (!answered_) {
            ++pool_.failures_;
            pool_.replace(helper_);
        } else if (++helper_.jobs >= pool_.jobs_) {
            pool_.replace(helper_);
        } else {
            pool_.freed_.notify_one();
        }
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    [[nodiscard]] Helper& helper() { return helper_; }
    void answered() { answered_ = true; }

  private:
    PamPool& pool_;
    Helper& helper_;
    bool answered_ = false;
};

PamPool::PamPool(async::Loop& loop, Fd control, std::size_t helpers, std::uint64_t jobs)
    : loop_(loop),
      control_(std::move(control)),
      control_watch_(loop, control_.get()),
      jobs_(jobs),
      helpers_(helpers),
      freed_(loop),
      scope_(loop) {}

void PamPool::start(std::function<void()> lost) {
    lost_ = std::move(lost);
    // Orders are a few octets each, and never more are under way than there are helpers: sending never waits.
    for (Helper& helper : helpers_)
        replace(helper);
    if (!async::set_non_blocking(control_)) lost_();
    scope_.spawn(take_helpers());
}

void PamPool::replace(Helper& helper) {
    helper.watch.reset();
    helper.socket.reset();
    helper.jobs = 0;
    const auto slot = static_cast<std::uint32_t>(&helper - helpers_.data());
    // If it cannot be sent the spawner is gone, which take_helpers() notices.
    static_cast<void>(send_number(control_, slot, Fd()));
}

async::Task<void> PamPool::take_helpers() {
    while (true) {
        bool would_block = false;
        auto packet = receive_number(control_, would_block);
        if (would_block) {
            co_await control_watch_.readable();
            continue;
        }
        if (!packet || packet->number >= helpers_.size()) break;
        Helper& helper = helpers_[packet->number];
        if (!packet->descriptor || !async::set_non_blocking(packet->descriptor)) {
            // No process now; the others go on, and this one is asked for again.
            co_await async::Sleep(loop_, Milliseconds(1000));
            replace(helper);
            continue;
        }
        helper.socket = std::move(packet->descriptor);
        helper.watch = std::make_unique<async::Watch>(loop_, helper.socket.get());
        freed_.notify_one();
    }
    log::error("pam_spawner_lost");
    lost_();
}

PamPool::Helper* PamPool::free_helper() {
    for (Helper& helper : helpers_) {
        if (helper.socket && !helper.busy) return &helper;
    }
    return nullptr;
}

async::Task<PamReply> PamPool::check(std::string service, std::shared_ptr<const Credentials> credentials,
                                     async::Deadline deadline) {
    Helper* free = free_helper();
    while (free == nullptr) {
        bool notified = co_await freed_.wait(deadline);
        free = free_helper();
        if (!notified && free == nullptr)
            co_return PamReply{Verdict::Unavailable, "all PAM helpers are busy"};
    }
    Lease lease(*this, *free);
    const int socket = free->socket.get();
    const Secret request = encode_pam_request(service, *credentials);
    if (::send(socket, request.c_str(), request.size(), MSG_NOSIGNAL) < 0) {
        co_return PamReply{Verdict::Unavailable, "the PAM helper is gone"};
    }
    std::array<char, kMaxPamPacket> packet{};
    while (true) {
        const ssize_t got = ::recv(socket, packet.data(), packet.size(), 0);
        if (got > 0) {
            lease.answered();
            co_return parse_pam_reply({packet.data(), static_cast<std::size_t>(got)});
        }
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            co_return PamReply{Verdict::Unavailable, "the PAM helper died"};
        }
        auto ready = co_await free->watch->readable(deadline);
        if (ready == async::Ready::TimedOut) {
            co_return PamReply{Verdict::Unavailable, "PAM did not answer in time"};
        }
    }
}

async::Task<CheckResult> Pam::check(std::shared_ptr<const Credentials> credentials,
                                    async::Deadline deadline) {
    CheckResult result;
    result.login = credentials->login;
    PamReply reply = co_await pool_.check(service_, std::move(credentials), deadline);
    result.verdict = reply.verdict;
    result.reason = std::move(reply.reason);
    co_return result;
}

}  // namespace postrider::auth
