#pragma once

#include <string>
#include <vector>

#include "libcommon/config/settings.h"

/// What is legal in the policy table but hardly meant, besides what its builder has found (policy_builder.h).
namespace postrider::router {

/// A policy without a `default rcpt` line, and lines whose keys more specific ones have taken altogether.
/// Each line is "file:line: message".
[[nodiscard]] std::vector<std::string> find_doubtful_policy(const config::Settings& settings);

}  // namespace postrider::router
