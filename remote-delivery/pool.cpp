#include "remote-delivery/pool.h"

#include <iterator>
#include <utility>

namespace postrider::remote_delivery {
namespace {

// How exactly the idle time is kept. One timer looks at all sessions, so that keeping one costs nothing.
constexpr Milliseconds kResolution{1000};

async::Task<void> say_goodbye(std::unique_ptr<Session> session) {
    co_await session->quit();
}

}  // namespace

SessionPool::SessionPool(async::Loop& loop, const config::Limits& limits, std::size_t most)
    : loop_(loop), limits_(limits), most_(most), timer_(loop, [this] { expire(); }), goodbyes_(loop) {}

std::unique_ptr<Session> SessionPool::take(const std::string& next_hop) {
    auto found = idle_.find(next_hop);
    if (found == idle_.end()) return nullptr;
    std::deque<Idle>& sessions = found->second;
    std::unique_ptr<Session> taken;
    while (!sessions.empty() && taken == nullptr) {
        std::unique_ptr<Session> session = std::move(sessions.back().session);
        sessions.pop_back();
        --size_;
        if (!session->stale()) taken = std::move(session);
    }
    if (sessions.empty()) idle_.erase(found);
    return taken;
}

void SessionPool::give_back(const std::string& next_hop, std::unique_ptr<Session> session) {
    if (!session->usable()) return;
    if (size_ >= most_ || !session->worth_keeping()) {
        end(std::move(session));
        return;
    }
    if (size_ == 0) timer_.arm(kResolution);
    idle_[next_hop].push_back(Idle{std::move(session), loop_.now()});
    ++size_;
}

void SessionPool::end(std::unique_ptr<Session> session) {
    // A server that is slow to say goodbye takes a descriptor for that long, so there is a bound to them,
    // too.
    if (goodbyes_.size() < limits_.size(config::Limit::RemoteDeliveries)) {
        goodbyes_.spawn(say_goodbye(std::move(session)));
    }
}

void SessionPool::expire() {
    SteadyTime now = loop_.now();
    Milliseconds longest = limits_.time(config::Limit::ConnectionIdle);
    for (auto entry = idle_.begin(); entry != idle_.end();) {
        std::deque<Idle>& sessions = entry->second;
        while (!sessions.empty() && now - sessions.front().since >= longest) {
            end(std::move(sessions.front().session));
            sessions.pop_front();
            --size_;
        }
        entry = sessions.empty() ? idle_.erase(entry) : std::next(entry);
    }
    if (size_ > 0) timer_.arm(kResolution);
}

async::Task<void> SessionPool::end_all(async::Deadline deadline) {
    for (auto& [next_hop, sessions] : idle_) {
        for (Idle& idle : sessions)
            end(std::move(idle.session));
    }
    idle_.clear();
    size_ = 0;
    co_await goodbyes_.join(deadline);
}

}  // namespace postrider::remote_delivery
