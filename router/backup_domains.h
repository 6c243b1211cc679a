#pragma once

#include "libcommon/config/settings.h"
#include "router/tables.h"

namespace postrider::router {

/// Adds the `mxbackup` lines to `tables`, whose routes must be complete:
///   * each becomes a Backup of its domain, or with `subdomains` of its domain and all below it;
///   * and a route to the MX of its domain, unless a `route` line is about the same domain. A line of just
///     that domain or tree stands above it, a line of a parent domain or of `*` below, so that mail for a
///     primary never goes to a smarthost, which would bring it back to us (mx-backup, 8).
///
/// Errors are reported at the words they are about: a domain that is none, and one that is there twice.
void add_backup_domains(const config::Settings& settings, Tables& tables, config::Errors& errors);

}  // namespace postrider::router
