#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libcommon/base/result.h"
#include "libcommon/config/language.h"
#include "libcommon/config/settings.h"
#include "router/table_files.h"
#include "router/tables.h"

namespace postrider::router {

/// What the builder needs from the system.
struct BuildInputs {
    config::FileSource* files = nullptr;  ///< not owned
    TableFiles* databases = nullptr;      ///< not owned; nullptr: there are no tables but texts

    /// The addresses of the network interfaces, in addition to the configured ones.
    std::vector<config::IpAddress> own_addresses;

    /// Looks up the `owner=` of a virtual domain; config::resolve_user in the daemon.
    std::function<Result<config::UserIds>(const std::string&)> find_owner;

    /// The tables in force, or nullptr: where a list that an alias includes cannot be read any more, its old
    /// members stay.
    const Tables* previous = nullptr;
};

/// Tables, or every error that prevents them.
struct BuildResult {
    std::shared_ptr<const Tables> tables;  ///< set exactly when `errors` is empty
    std::vector<std::string> errors;       ///< each "file:line:column: message"

    /// Lists that cannot be read or have faulty lines. They concern the mail of their own aliases only, which
    /// waits (or goes to the members of before), so that a list kept by a user cannot stop all mail.
    std::vector<std::string> list_errors;

    std::vector<std::string> dangers;  ///< "file:line: message": legal in the policy table, but hardly meant

    std::vector<std::string> files;  ///< every file read or tried, whatever came of it
};

/// Builds the tables that `settings` describe, reading alias files, included lists and users files.
[[nodiscard]] BuildResult build_tables(const config::Settings& settings, const BuildInputs& inputs);

}  // namespace postrider::router
