#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postrider::admin {

/// A running daemon, as the kernel sees it.
struct ProcessStatus {
    std::string name;
    pid_t pid = 0;
    std::uint64_t restarts = 0;
    bool running = false;  ///< false: the process is gone; the rest is then empty
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::string capabilities;  ///< effective set, hexadecimal
    int seccomp = 0;           ///< 2: a filter is loaded
    bool no_new_privileges = false;
    std::uint64_t resident_kib = 0;
    int descriptors = -1;  ///< -1: not ours to see
};

/// Reads what the supervisor wrote: "NAME PID RESTARTS" a line. Lines that are something else are skipped.
/// Pure.
[[nodiscard]] std::vector<ProcessStatus> parse_daemon_file(std::string_view text);

/// Fills in what /proc/PID/status says (proc(5)). Pure.
void parse_proc_status(std::string_view text, ProcessStatus& into);

/// The daemons that the supervisor started, from the file `daemons` in the working directory and /proc.
[[nodiscard]] std::vector<ProcessStatus> running_daemons();

}  // namespace postrider::admin
