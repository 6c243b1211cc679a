#pragma once

#include "admin/sendmail/options.h"

/// What sendmail leaves to the administrator's command, which stands beside it. All functions return its exit
/// status, or 71 if it cannot be run.
namespace postrider::admin {

/// -bp: `postrider queue list`.
[[nodiscard]] int list_queue(const SendmailOptions& options);

/// -q: `postrider queue flush`.
[[nodiscard]] int flush_queue(const SendmailOptions& options);

/// -bv: `postrider explain` for each recipient; the first status that is not 0.
[[nodiscard]] int verify(const SendmailOptions& options);

}  // namespace postrider::admin
