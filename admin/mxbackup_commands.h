#pragma once

#include <string>

#include "admin/backup_list.h"

/// The commands `postrider mxbackup …`; they work on files alone, so the suite need not run.
namespace postrider::admin {

/// What one of them was called with.
struct MxbackupArguments {
    std::string config_file;
    bool json = false;
    bool has_domain = false;
    std::string domain;  ///< as written
    bool subdomains = false;
};

/// Prints the list, or the line of one domain. The exit status of the command: 69 if there is no such line.
[[nodiscard]] int mxbackup_list(const MxbackupArguments& arguments);

/// Makes a change and prints what there is now. The exit status: 64 for a domain that is none, 69 if the list
/// does not allow it, 75 if the file cannot be written, 78 if the configuration has errors.
[[nodiscard]] int mxbackup_change(const MxbackupArguments& arguments, BackupChange::Kind kind);

}  // namespace postrider::admin
