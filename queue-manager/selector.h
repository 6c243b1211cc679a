#pragma once

#include <string>
#include <vector>

#include "libcommon/base/clock.h"
#include "libcommon/ipc/queue.pb.h"
#include "libcommon/queue_file/queue_id.h"

/// Which messages an administrator means. Pure.
namespace postrider::queue_manager {

/// The ids that a selector names, in their order and each once; what is no id is left out.
[[nodiscard]] std::vector<queue_file::QueueId> ids_of(const wire::Selector& selector);

/// Whether the listing of a message has to be looked at to know if it matches. It has not if the selector
/// names ids and nothing else, or nothing at all.
[[nodiscard]] bool needs_listing(const wire::Selector& selector);

/// Whether a message with this listing matches at `now`. A domain is one of a recipient that still waits, or
/// of its next hop; so is a reply. A recipient is any of them.
[[nodiscard]] bool matches(const wire::QueueEntry& entry, const wire::Selector& selector, UnixMillis now);

/// The selector as the command line says it, for the log: "--from a@b.test --age >7200s"; "--all" if it
/// selects everything.
[[nodiscard]] std::string selector_text(const wire::Selector& selector);

}  // namespace postrider::queue_manager
