#pragma once

#include "libcommon/privsep/profile.h"

namespace postrider::privsep {

/// Loads the filter of system calls that syscall_tables.cpp has for `daemon`, for all threads, for good.
///
/// Daemons have an allow-list: any other call kills the process at once (SIGSYS). LocalDelivery and
/// LocalDeliveryChild have a deny-list, whose calls fail with EPERM, because users' programs inherit the
/// filter. Supervisor has none, and it is an error to ask for it.
///
/// Builds that are no release (no NDEBUG, or with sanitizers) name a refused call in a line on standard error
/// before they die of SIGSYS; with POSTRIDER_SECCOMP_LOG=1 in the environment they only have the kernel log
/// it. Sanitizer builds allow in addition what the sanitizers' run time needs (sanitizer_calls() in the
/// tables).
///
/// Needs no_new_privileges(). Throws ConfinementFailure.
void seccomp(Daemon daemon);

}  // namespace postrider::privsep
