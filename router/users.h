#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "libcommon/async/scope.h"
#include "libcommon/async/sync.h"
#include "libcommon/async/thread_pool.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/result.h"
#include "router/answer_cache.h"
#include "router/domain_table.h"
#include "router/facts.h"

/// The users of the system.
namespace postrider::router {

/// Asks the system's user database, which may wait for a server. Nothing: there is no such user. Temporary
/// error: the database does not answer.
[[nodiscard]] Result<std::optional<SystemUser>> find_system_user(const std::string& name);

/// Answers from the system's user database at once, waiting for it; for --check and for the start, never on
/// the loop. It asks no DNS server and none that knows users: what depends on one is unavailable.
class BlockingFacts : public Facts {
  private:
    [[nodiscard]] UserAnswer answer_user(const std::string& name) override;
    [[nodiscard]] DnsAnswer answer_dns(const DnsQuestion& question) override;
    [[nodiscard]] ExternalAnswer answer_external(const ExternalQuestion& question) override;

    StringMap<UserAnswer> answers_;
};

/// How long the cache believes an answer, and how many it keeps.
struct UserCacheLimits {
    Milliseconds known{60'000};
    Milliseconds unknown{10'000};
    Milliseconds unavailable{1'000};  ///< until a database that did not answer is asked again
    std::size_t entries = 20'000;  ///< the oldest go first: strangers can make it grow with names they invent
    std::size_t names_per_job = 64;  ///< looked up by one thread in one go
};

/// Whether the system can have a user of this name; no other is to be looked up, as names come from
/// strangers.
[[nodiscard]] bool can_be_user_name(std::string_view name);

/// What is known of the system's users, for the loop. An answer in the cache costs a hash look-up; everything
/// else is looked up by a helper thread, once for all who wait for it. Belongs to the loop's thread.
class UserCache {
  public:
    /// Called on a helper thread.
    using Find = std::function<Result<std::optional<SystemUser>>(const std::string&)>;

    UserCache(async::Loop& loop, async::ThreadPool& pool, UserCacheLimits limits,
              Find find = find_system_user);

    /// From the cache; Pending if it does not know.
    [[nodiscard]] UserAnswer find(const std::string& name);

    /// Resumes when every name was looked up, and is in the cache as far as that has room.
    async::Task<void> look_up(std::vector<std::string> names);

    /// Forgets everything, so that users just added are seen.
    void clear();

    [[nodiscard]] std::size_t size() const { return answers_.size(); }

  private:
    using Batch = std::vector<std::string>;
    using Answers = std::vector<UserAnswer>;

    async::Task<void> fetch(Batch names);
    [[nodiscard]] bool any_in_flight(const Batch& names) const;
    [[nodiscard]] Milliseconds lifetime(FactState state) const;

    async::Loop& loop_;
    async::ThreadPool& pool_;
    UserCacheLimits limits_;
    Find find_;
    AnswerCache<UserAnswer> answers_;
    std::unordered_set<std::string> in_flight_;
    async::Condition fetched_;
    async::Scope scope_;
};

}  // namespace postrider::router
