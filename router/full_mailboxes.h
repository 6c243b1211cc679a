#pragma once

#include <cstddef>
#include <string>

#include "libcommon/base/clock.h"
#include "router/answer_cache.h"
#include "router/policy.h"

namespace postrider::router {

/// Mailboxes that a delivery has just found full, by their paths. Nobody but their owner's process can look
/// into them, so this is hearsay: it holds for a time, and until the next delivery succeeds. Whoever is
/// refused because of it would only have been told later.
class FullMailboxes {
  public:
    /// Of more than `limit` mailboxes the oldest are forgotten.
    explicit FullMailboxes(std::size_t limit) : full_(limit) {}

    /// A delivery found the mailbox full, which is believed until `expires`.
    void found_full(const std::string& path, SteadyTime expires) { full_.store(path, true, expires); }
    /// A delivery found room in it.
    void found_room(const std::string& path, SteadyTime now) {
        if (full_.find(path, now) != nullptr) full_.store(path, false, now);
    }

    [[nodiscard]] bool contains(const std::string& path, SteadyTime now) const {
        return full_.find(path, now) != nullptr;
    }

  private:
    AnswerCache<bool> full_;
};

/// The refusal of a recipient whose mailbox is full: for now, or with over_quota bounce for good.
[[nodiscard]] Verdict mailbox_is_full(const Tables& tables);

}  // namespace postrider::router
