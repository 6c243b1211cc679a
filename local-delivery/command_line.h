#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/result.h"

namespace postrider::local_delivery {

/// Splits a command as written into the program and its arguments, at blanks outside quotes. '…' keeps all,
/// "…" all but \" and \\, and \ outside quotes makes the next character an ordinary one. Nothing else has a
/// meaning: no shell sees the command. Permanent error: a quote is not closed, or there is no word.
[[nodiscard]] Result<std::vector<std::string>> split_command(std::string_view command);

}  // namespace postrider::local_delivery
