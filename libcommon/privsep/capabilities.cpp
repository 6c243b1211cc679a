#include <cap-ng.h>
#include <linux/capability.h>

#include <cerrno>

#include "libcommon/privsep/failure.h"
#include "libcommon/privsep/steps.h"

namespace postrider::privsep {
namespace {

constexpr unsigned kMaximumCapability = 63;  // Capability numbers are bits of a 64 bit mask.

/// The capabilities that `keep` names and the process has in `set`.
CapabilityMask held_in(capng_type_t set, CapabilityMask keep) {
    CapabilityMask held = 0;
    for (unsigned capability = 0; capability <= kMaximumCapability; ++capability) {
        CapabilityMask bit = capability_bit(capability);
        if ((keep & bit) != 0 && capng_have_capability(set, capability) == 1) held |= bit;
    }
    return held;
}

void choose(capng_type_t sets, CapabilityMask capabilities) {
    for (unsigned capability = 0; capability <= kMaximumCapability; ++capability) {
        if ((capabilities & capability_bit(capability)) == 0) continue;
        if (capng_update(CAPNG_ADD, sets, capability) < 0) fail("choosing capabilities", EINVAL);
    }
}

void apply(capng_select_t sets, const char* what) {
    errno = 0;
    if (capng_apply(sets) < 0) fail(what, errno);
}

}  // namespace

void drop_bounding_set(CapabilityMask keep) {
    if (capng_get_caps_process() < 0) fail("reading the capabilities", errno);
    if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) != 1) return;
    CapabilityMask held = held_in(CAPNG_BOUNDING_SET, keep);
    capng_clear(CAPNG_SELECT_BOUNDS);
    choose(CAPNG_BOUNDING_SET, held);
    apply(CAPNG_SELECT_BOUNDS, "dropping the bounding set");
}

void drop_capabilities(CapabilityMask keep) {
    if (capng_get_caps_process() < 0) fail("reading the capabilities", errno);
    CapabilityMask held = held_in(CAPNG_PERMITTED, keep);
    capng_clear(CAPNG_SELECT_ALL);
    choose(static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED), held);
    apply(CAPNG_SELECT_CAPS, "dropping capabilities");
    apply(CAPNG_SELECT_AMBIENT, "dropping ambient capabilities");
}

}  // namespace postrider::privsep
