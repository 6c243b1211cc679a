#pragma once

#include <optional>
#include <string>
#include <vector>

#include "router/tables.h"

namespace postrider::router {

/// The addresses that the alias of `list` names, in the order of the alias file and in full: one level deep,
/// with the members of the lists it includes in the place of each, since a list has no other name that a
/// stranger could use. Programs and files are left out. Nothing if the address, of a local domain, has no
/// alias.
[[nodiscard]] std::optional<std::vector<std::string>> list_members(const Address& list, const Tables& tables);

}  // namespace postrider::router
