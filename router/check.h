#pragma once

#include <string>
#include <vector>

#include "libcommon/config/settings.h"
#include "router/expansion.h"
#include "router/tables.h"

/// What is legal in the tables but hardly meant. Each line is "file:line: message", sorted by nothing but the
/// order of the tables.
namespace postrider::router {

/// Lines that open more than a domain of one's own, and lines that another one makes void.
[[nodiscard]] std::vector<std::string> find_shadowed_lines(const config::Settings& settings);

/// Local domains whose postmaster nobody reads. His mail is accepted, because it must be, but waits in the
/// queue.
[[nodiscard]] std::vector<std::string> find_unread_postmasters(const Tables& tables, Facts& facts);

/// Aliases that lead in a circle, to users who do not exist, or too far. Looks every user up whom an alias
/// names.
[[nodiscard]] std::vector<std::string> find_bad_aliases(const Tables& tables, Facts& facts);

}  // namespace postrider::router
