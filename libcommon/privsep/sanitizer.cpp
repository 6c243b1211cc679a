#include "libcommon/privsep/sanitizer.h"

#ifdef POSTRIDER_SANITIZED

#include <sanitizer/common_interface_defs.h>

namespace {

bool leak_check_lost = false;  // NOLINT: a hook of the sanitizer's has nowhere else to look.

}  // namespace

/// The hook by which LeakSanitizer asks at exit whether it shall run (sanitizer/lsan_interface.h).
extern "C" int __lsan_is_turned_off();  // NOLINT: the name is the sanitizer's.
extern "C" int __lsan_is_turned_off() {
    return leak_check_lost ? 1 : 0;
}  // NOLINT

namespace postrider::privsep {

std::vector<std::string> sanitizer_files() {
    return {"/proc"};
}

void lose_leak_check() {
    leak_check_lost = true;
}

}  // namespace postrider::privsep

#else

namespace postrider::privsep {

std::vector<std::string> sanitizer_files() {
    return {};
}

void lose_leak_check() {}

}  // namespace postrider::privsep

#endif
