#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"

namespace postrider::supervisor {

/// Starts `path` with `arguments` (argv[0] is `path`). The child gets standard input from /dev/null, our
/// standard output and error, and `sockets` from descriptor 3 on, announced as systemd does (LISTEN_FDS,
/// LISTEN_PID, sd_listen_fds(3)); no other descriptor. Its environment is ours without what only concerns us.
/// Returns the process id. Error: Temporary, when the system gives no process or the file cannot be run.
[[nodiscard]] Result<pid_t> start_process(const std::string& path, const std::vector<std::string>& arguments,
                                          const std::vector<Fd>& sockets);

}  // namespace postrider::supervisor
