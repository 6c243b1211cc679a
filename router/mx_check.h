#pragma once

#include <string>
#include <vector>

#include "router/facts.h"
#include "router/mail_domain.h"
#include "router/tables.h"

/// What an administrator wants to know of a domain's exchangers.
namespace postrider::router {

/// One line for each exchanger, "10 mx.example.org 192.0.2.1", the best first, with a mark at this host; a
/// last one where there are more than were looked at.
[[nodiscard]] std::vector<std::string> exchanger_lines(const Exchangers& exchangers);

/// What became of a check, in readable lines.
struct MxReport {
    std::vector<std::string> lines;
    bool has_problems = false;  ///< mail for the domain is not passed on as it should be
    bool unclear = false;       ///< the DNS does not say all that it would take now
};

/// Looks a domain up as its backup would: its exchangers and their addresses, the position of this host among
/// them, whether and how mail for the domain is passed on, and what is wrong with that (mx-backup, 9 and 14).
/// `domain` is canonical.
[[nodiscard]] MxReport check_mx(const std::string& domain, const Tables& tables, Facts& facts);

}  // namespace postrider::router
