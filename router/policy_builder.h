#pragma once

#include <string>
#include <vector>

#include "libcommon/config/language.h"
#include "libcommon/config/settings.h"
#include "router/policy_table.h"

namespace postrider::router {

struct Tables;

/// A domain that a `rcpt DOMAIN local` line makes local.
struct PolicyDomain {
    std::string name;
    config::Position position;
};

struct BuiltPolicy {
    PolicyTable table;
    std::vector<PolicyDomain> local_domains;
    std::vector<std::string> dangers;  ///< "file:line: message": what is legal, but hardly meant
};

/// Builds the policy table from the lines `net`, `helo`, `login`, `port`, `sender`, `rcpt`, `class` and
/// `default`. Among the errors, each added with its position, are: items that are not known or not for that
/// kind of line, classes that are not there or use themselves, keys given twice, `default` lines that grant
/// something, and lines that would let anybody send anywhere.
[[nodiscard]] BuiltPolicy build_policy(const config::Settings& settings, config::Errors& errors);

/// Adds an error for each `rcpt DOMAIN accept`, `.DOMAIN` and `*.DOMAIN` included, that speaks of no domain
/// which is local, relayed or backed up. It would look as if it let mail in, which it does not.
void check_accepted_domains(const config::Settings& settings, const Tables& tables, config::Errors& errors);

}  // namespace postrider::router
