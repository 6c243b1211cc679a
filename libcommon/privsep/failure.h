#pragma once

#include <string>

#include "libcommon/privsep/steps.h"

namespace postrider::privsep {

/// Throws ConfinementFailure: "WHAT: system's word for errno_value".
[[noreturn]] void fail(const std::string& what, int errno_value);

}  // namespace postrider::privsep
