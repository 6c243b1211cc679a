#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libcommon/async/scope.h"
#include "libcommon/async/sync.h"
#include "libcommon/async/watch.h"
#include "libcommon/base/fd.h"
#include "smtpd/auth/method.h"
#include "smtpd/auth/pam_protocol.h"

namespace postrider::auth {

/// The helper processes that run PAM. Each does one check at a time; what is more waits for one that is free.
/// A helper that does not answer in time, or dies, is replaced, so a module that hangs costs its own login
/// and nobody else's.
class PamPool {
  public:
    /// `control` is what start_pam_spawner() gave. A helper is replaced after `jobs` checks, because modules
    /// leak.
    PamPool(async::Loop& loop, Fd control, std::size_t helpers, std::uint64_t jobs);

    /// Has the helpers started; returns at once. `lost` is called when the spawner is gone, and with it any
    /// hope of a new helper.
    void start(std::function<void()> lost);

    /// Checks with PAM. Unavailable at the deadline, whether it waited or was under way.
    async::Task<PamReply> check(std::string service, std::shared_ptr<const Credentials> credentials,
                                async::Deadline deadline);

    /// Helpers that had to be replaced because they hung or died.
    [[nodiscard]] std::uint64_t failures() const { return failures_; }

  private:
    struct Helper {
        Fd socket;
        std::unique_ptr<async::Watch> watch;  // destroyed before the socket is closed
        bool busy = false;
        std::uint64_t jobs = 0;
    };
    /// Holds a helper and, at the end of whoever holds it, gives it back or has it replaced.
    class Lease;

    async::Task<void> take_helpers();
    [[nodiscard]] Helper* free_helper();
    void replace(Helper& helper);

    async::Loop& loop_;
    Fd control_;
    async::Watch control_watch_;
    std::uint64_t jobs_;
    std::vector<Helper> helpers_;
    std::uint64_t failures_ = 0;
    std::function<void()> lost_;
    async::Condition freed_;
    async::Scope scope_;
};

/// `auth pam`: one service of a pool.
class Pam : public Method {
  public:
    /// The pool outlives it.
    Pam(PamPool& pool, std::string service) : pool_(pool), service_(std::move(service)) {}
    [[nodiscard]] std::string_view name() const override { return "pam"; }
    async::Task<CheckResult> check(std::shared_ptr<const Credentials> credentials,
                                   async::Deadline deadline) override;

  private:
    PamPool& pool_;
    std::string service_;
};

}  // namespace postrider::auth
