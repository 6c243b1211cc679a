#pragma once

#include "libcommon/base/result.h"
#include "libcommon/config/settings.h"

namespace postrider::supervisor {

/// Makes the run, state and spool directories where they are missing, and gives each to the one daemon that
/// writes there: the spool to the queue-manager, with no right for anyone else. As an ordinary user they
/// belong to that user. Error: names the directory and what is wrong with it.
[[nodiscard]] Result<void> prepare_directories(const config::Settings& settings);

}  // namespace postrider::supervisor
