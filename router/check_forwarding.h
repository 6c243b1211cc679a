#pragma once

#include <string>
#include <vector>

#include "router/facts.h"
#include "router/tables.h"

namespace postrider::router {

/// What is legal in redirect lines, names with wildcards and catch-alls but hardly meant, each as "file:line:
/// message": lines that lead in a circle or to users who do not exist, that can match nothing, that keep
/// another line from ever being asked, or that take more mail than they seem to. Looks up the users whom the
/// lines name.
[[nodiscard]] std::vector<std::string> find_bad_forwarding(const Tables& tables, Facts& facts);

}  // namespace postrider::router
