#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "admin/etrn_command.h"
#include "admin/exit_status.h"
#include "admin/mxbackup_commands.h"
#include "admin/selector.h"
#include "libcommon/config/settings.h"

namespace postrider::admin {

/// Everything that can stand on the command line.
struct Arguments {
    std::string config_file = "/etc/postrider/postrider.conf";
    bool json = false;
    bool all = false;
    bool dry_run = false;
    bool silent = false;
    bool senders = false;
    std::size_t top = 20;  ///< rows of queue shape; 0: all
    SelectorWords selection;
    std::vector<std::string> domains;
    std::string domain;
    std::string name;
    std::string text;
    std::string address;
    std::vector<std::string> words;
    MxbackupArguments mxbackup;
    EtrnArguments etrn;
};

/// A verb that asks the running suite; returns the exit status. The working directory is run_dir.
using Command = int (*)(const config::Settings&, const Arguments&);

/// Prints an error, and gives the exit status for it.
int report(const Error& error);

/// Who calls the command, for the log of the queue-manager: behind sudo(8) its caller, else whoever logged
/// in; empty if that is not known.
[[nodiscard]] std::string caller_login();

}  // namespace postrider::admin
