#pragma once

#include <string>
#include <vector>

#include "libcommon/base/clock.h"
#include "libcommon/base/result.h"
#include "libcommon/config/settings.h"
#include "libcommon/ipc/queue.pb.h"

namespace postrider::admin {

/// The messages in quarantine that match, oldest first. Errors as of ask().
[[nodiscard]] Result<std::vector<wire::QueueEntry>> list_quarantine(const config::Settings& settings,
                                                                    const wire::Selector& selector);

/// Releases or deletes what matches, or with `dry_run` only counts it. Errors as of ask().
[[nodiscard]] Result<wire::Quarantined> change_quarantine(const config::Settings& settings,
                                                          const wire::Quarantine& change);

/// The listing for people.
[[nodiscard]] std::string quarantine_text(const std::vector<wire::QueueEntry>& entries, UnixMillis now);

}  // namespace postrider::admin
