#pragma once

#include <functional>
#include <optional>
#include <string>

#include "libcommon/config/settings.h"

/// What main() of every daemon has in common: the command line, the configuration, the log, the exit status.
namespace postrider::daemon {

// Exit statuses (sysexits.h).
inline constexpr int kExitOk = 0;
inline constexpr int kExitDangers = 1;  ///< of --check: there are no errors, but dangers
inline constexpr int kExitUsage = 64;
inline constexpr int kExitSystem = 71;
inline constexpr int kExitConfig = 78;

/// What a look at the files of a daemon has found.
enum class Checked {
    Good,
    Dangers,  ///< what is legal but hardly meant; the daemon serves all the same
    Errors
};

/// A daemon's own part of main().
struct Program {
    std::string name;          ///< of the executable, for the log and the usage
    bool has_workers = false;  ///< accepts --worker N
    /// Checks what the daemon reads besides the general settings, for --check and before serving. Prints
    /// every error that LoadResult::errors does not have as file:line:column: message, and every danger
    /// behind "warning: ". Where the settings have errors only --check calls it, with what remains of them.
    /// May be empty.
    std::function<Checked(const config::LoadResult&)> check;
    /// Serves until it is told to stop; the exit status. Exceptions mean that the system refused something
    /// the daemon cannot run without. `worker` is the number behind --worker.
    std::function<int(const config::Settings&, std::optional<unsigned> worker)> serve;
};

/// Reads `--config FILE`, `--check` and `--worker N`, loads the configuration, and serves. Returns the exit
/// status. SIGPIPE is ignored: every daemon looks at the result of its writes. The time zone is loaded.
[[nodiscard]] int run(const Program& program, int argc, char** argv);

}  // namespace postrider::daemon
