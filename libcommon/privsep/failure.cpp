#include "libcommon/privsep/failure.h"

#include <system_error>

namespace postrider::privsep {

void fail(const std::string& what, int errno_value) {
    throw ConfinementFailure(what + ": " + std::generic_category().message(errno_value));
}

}  // namespace postrider::privsep
