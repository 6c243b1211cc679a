#include "libcommon/base/clock.h"

namespace postrider {

UnixMillis unix_millis_now() {
    auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<UnixMillis>(std::chrono::duration_cast<Milliseconds>(since_epoch).count());
}

}  // namespace postrider
