#pragma once

#include "libcommon/config/language.h"
#include "libcommon/config/settings.h"
#include "router/tables.h"

/// The parts of the tables that say where an address leads before it is a user's: further names of domains,
/// redirect lines, and who gets the rest. All report to `errors` and leave faulty lines out.
namespace postrider::router {

/// Reads the `alias_domain` lines. Local and virtual domains are there already.
void add_domain_aliases(const config::Settings& settings, Tables& tables, config::Errors& errors);

/// Reads the `redirect` and `redirect+copy` lines. Lists that they include are not read.
void add_redirects(const config::Settings& settings, Tables& tables, config::Errors& errors);

/// Reads the `catchall` lines. Everything else about domains, aliases and redirects is there already, because
/// a catch-all that is anything but a mailbox is an error: it would send the mail of strangers to strangers.
void add_catchalls(const config::Settings& settings, Tables& tables, config::Errors& errors);

}  // namespace postrider::router
