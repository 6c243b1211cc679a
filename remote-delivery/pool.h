#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>

#include "libcommon/async/loop.h"
#include "libcommon/async/scope.h"
#include "libcommon/config/limits.h"
#include "remote-delivery/session.h"

namespace postrider::remote_delivery {

/// Sessions without work, by the next hop they lead to, kept for a few seconds in case there is more mail for
/// it.
class SessionPool {
  public:
    /// Keeps at most `most` sessions, and lets as many say goodbye at the same time. The references outlive
    /// the pool.
    SessionPool(async::Loop& loop, const config::Limits& limits, std::size_t most);
    SessionPool(const SessionPool&) = delete;
    SessionPool& operator=(const SessionPool&) = delete;

    /// A session to `next_hop` that the server has not closed, or nullptr. The most recently used one, so
    /// that those that are not needed any more grow old.
    [[nodiscard]] std::unique_ptr<Session> take(const std::string& next_hop);

    /// Takes a session back after use. One that is not worth keeping is ended.
    void give_back(const std::string& next_hop, std::unique_ptr<Session> session);

    /// Says goodbye in the background and closes the session.
    void end(std::unique_ptr<Session> session);

    /// Says goodbye to all sessions and waits until that is done or the deadline passes.
    async::Task<void> end_all(async::Deadline deadline);

    [[nodiscard]] std::size_t size() const { return size_; }

  private:
    struct Idle {
        std::unique_ptr<Session> session;
        SteadyTime since;
    };
    void expire();

    async::Loop& loop_;
    const config::Limits& limits_;
    std::size_t most_;
    std::unordered_map<std::string, std::deque<Idle>> idle_;  // oldest first
    std::size_t size_ = 0;
    async::Timer timer_;
    async::Scope goodbyes_;
};

}  // namespace postrider::remote_delivery
