#include "libcommon/base/fd.h"

#include <unistd.h>

namespace postrider {

void Fd::reset() {
    if (descriptor_ >= 0) {
        // Linux releases the descriptor even when close() reports EINTR, so it is never called twice.
        static_cast<void>(::close(descriptor_));
        descriptor_ = -1;
    }
}

}  // namespace postrider
