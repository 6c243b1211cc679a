#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libcommon/async/sync.h"
#include "libcommon/config/settings.h"
#include "libcommon/ipc/channel.h"
#include "libcommon/ipc/local.pb.h"
#include "local-delivery/child_main.h"

namespace postrider::local_delivery {

/// The children that run as recipients' users, one job at a time each. They are kept for a while after a job,
/// so that a busy mailbox costs no fork a message; a user who gets much mail at once has several of them.
class ChildPool {
  public:
    ChildPool(async::Loop& loop, const config::Settings& settings);
    ~ChildPool();
    ChildPool(const ChildPool&) = delete;
    ChildPool& operator=(const ChildPool&) = delete;

    /// Performs `job` in a child of `user`; waits for a free one if need be. `file` travels to the child. A
    /// child that dies, or takes longer than any delivery may, gives a deferred result. `still_wanted` is
    /// asked when a child is free: a job that is somebody else's by then is not begun (nullopt).
    async::Task<std::optional<wire::DeliveryResult>> perform(ChildUser user, wire::ChildJob job, Fd file,
                                                             std::function<bool()> still_wanted);

    /// Children ended (SIGCHLD): forgets those that were idle.
    void reap();

    /// Ends children that have been idle for longer than process_idle.
    void expire();

    [[nodiscard]] std::size_t children() const { return children_.size(); }

  private:
    struct Child {
        ChildUser user;
        pid_t pid = 0;
        std::unique_ptr<ipc::Channel> channel;
        bool busy = false;
        std::uint64_t jobs = 0;
        SteadyTime idle_since{};
    };
    using ChildPointer = std::shared_ptr<Child>;

    async::Task<Result<ChildPointer>> acquire(ChildUser user);
    [[nodiscard]] ChildPointer find_idle(const ChildUser& user) const;
    [[nodiscard]] bool may_start(const ChildUser& user);
    [[nodiscard]] Result<ChildPointer> start(const ChildUser& user);
    async::Task<Result<wire::DeliveryResult>> converse(Child& child, wire::ChildJob job, Fd file);
    void release(const ChildPointer& child, bool usable);
    void remove(const Child* child);

    async::Loop& loop_;
    const config::Settings& settings_;
    std::vector<ChildPointer> children_;
    async::Condition freed_;
};

}  // namespace postrider::local_delivery
