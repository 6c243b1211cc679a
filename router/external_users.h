#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "libcommon/async/loop.h"
#include "libcommon/async/sync.h"
#include "libcommon/async/task.h"
#include "libcommon/config/limits.h"
#include "router/answer_cache.h"
#include "router/facts.h"
#include "router/socketmap.h"

namespace postrider::router {

/// What external look-ups may use, and how long an answer is believed.
struct ExternalUserLimits {
    SocketmapLimits socketmap;
    std::size_t entries = 20'000;  ///< answers that are kept
    Milliseconds known{60'000};
    Milliseconds unknown{10'000};
    Milliseconds unavailable{1'000};  ///< until a server that could not tell is asked again

    [[nodiscard]] static ExternalUserLimits from(const config::Limits& limits);
};

/// What is known of users whom `users=socket:` servers know, for the loop. An answer in the cache costs a
/// look-up; each other question is asked once for all who wait for it. Belongs to the loop's thread.
class ExternalUsers {
  public:
    ExternalUsers(async::Loop& loop, const ExternalUserLimits& limits);

    /// From the cache; Pending if it does not know.
    [[nodiscard]] ExternalAnswer find(const ExternalQuestion& question) const;

    /// Asks the server, and gives what it says. Resumes within the time limit of a look-up.
    async::Task<ExternalAnswer> look_up(ExternalQuestion question);

    /// Forgets all answers, so that changes of users are seen.
    void clear();

    [[nodiscard]] std::size_t size() const { return answers_.size(); }

  private:
    [[nodiscard]] SocketmapClient& client(const std::string& socket);

    async::Loop& loop_;
    ExternalUserLimits limits_;
    AnswerCache<ExternalAnswer> answers_;
    std::map<std::string, std::unique_ptr<SocketmapClient>> clients_;  // by socket
    std::set<std::string> in_flight_;
    async::Condition answered_;
};

}  // namespace postrider::router
