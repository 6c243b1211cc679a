#pragma once

#include <string>
#include <vector>

#include "libcommon/config/settings.h"
#include "router/tables.h"

/// What is doubtful about the ways in and out for domains that are not ours. Each line is
/// "file:line: message", in the order of the tables.
namespace postrider::router {

/// Relay, backup and route lines that another line makes void or widens, that open more than a domain, or
/// that lead where no mail can go. `tables` are those that `settings` describe.
[[nodiscard]] std::vector<std::string> find_doubtful_routes(const config::Settings& settings,
                                                            const Tables& tables);

/// What is as it should be and yet worth knowing: for which domains the default smarthost is bypassed.
[[nodiscard]] std::vector<std::string> find_bypasses(const config::Settings& settings, const Tables& tables);

}  // namespace postrider::router
