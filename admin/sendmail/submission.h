#pragma once

#include <string>
#include <vector>

#include "admin/sendmail/envelope.h"
#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"

namespace postrider::admin {

/// Connects to the socket of `listen PATH local`. Temporary error: nobody listens there.
[[nodiscard]] Result<Fd> connect_to_submission(const std::string& path);

/// Hands a message (LF line ends) over by SMTP. Error: Temporary when the server cannot take it now,
/// Permanent when it refuses the sender, every recipient, or the message; the text holds the server's
/// replies. Recipients that were refused while others were taken are added to `refused`.
[[nodiscard]] Result<void> submit(Fd server, const std::string& host_name, const Envelope& envelope,
                                  const std::string& message, std::vector<std::string>& refused);

/// Connects standard input and output to the server until the server is done (-bs). Temporary error: it did
/// not say goodbye (221), so that whatever it did not answer was not taken.
[[nodiscard]] Result<void> relay_standard_streams(Fd server);

}  // namespace postrider::admin
