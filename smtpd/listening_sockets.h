#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "libcommon/base/fd.h"
#include "libcommon/config/settings.h"

namespace postrider::smtpd {

/// A socket that clients connect to.
struct ListeningSocket {
    Fd socket;                 ///< non-blocking, closed on exec
    std::size_t listener = 0;  ///< index of its `listen` line in Settings::listeners
};

/// Sockets that the starter of this process opened for it: sd_listen_fds(3). Empty unless LISTEN_PID is this
/// process. Removes the variables from the environment, so that nobody takes the descriptors twice.
[[nodiscard]] std::vector<Fd> inherited_sockets();

/// One socket for each `listen` line: the inherited one with its address, or a new one. An inherited socket
/// that no line asks for is closed with a warning. Local sockets inside run_dir are bound by their bare name,
/// so the working directory must be run_dir. Throws std::runtime_error that names the line that cannot be
/// had.
[[nodiscard]] std::vector<ListeningSocket> open_listening_sockets(const config::Settings& settings,
                                                                  std::vector<Fd> inherited);

}  // namespace postrider::smtpd
