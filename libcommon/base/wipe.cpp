#include "libcommon/base/wipe.h"

#include <cstring>

namespace postrider {

void wipe(std::string& text) {
    // A shorter text may have left part of a longer one behind it.
    text.resize(text.capacity());
    ::explicit_bzero(text.data(), text.size());
    text.clear();
}

}  // namespace postrider
