#pragma once

#include <string>

#include "libcommon/async/loop.h"
#include "libcommon/async/stream.h"
#include "libcommon/async/task.h"

namespace postrider::admin {

/// Makes the handshake with the server of `stream`, which is encrypted from then on. Its certificate must be
/// valid for `name`, a host name or an address, and come from an authority in `ca_file`, or where that is
/// empty from one that the system trusts. Error: Temporary; the connection is of no further use.
[[nodiscard]] async::Task<Result<void>> encrypt(async::Stream& stream, std::string name, std::string ca_file,
                                                async::Deadline deadline);

}  // namespace postrider::admin
