#pragma once

#include <seccomp.h>

#include <vector>

#include "libcommon/privsep/profile.h"

namespace postrider::privsep {

/// One system call, by its name in the kernel, and what its arguments must be. All conditions must hold.
struct Rule {
    // Implicit, so that the tables read as lists of names.
    Rule(const char* call_in) : call(call_in) {}  // NOLINT(google-explicit-constructor)
    Rule(const char* call_in, std::vector<scmp_arg_cmp> conditions_in)
        : call(call_in), conditions(std::move(conditions_in)) {}

    const char* call;
    std::vector<scmp_arg_cmp> conditions;
};

using Rules = std::vector<Rule>;

/// A whole filter of system calls.
struct Filter {
    bool allow_by_default = false;  ///< A deny-list; otherwise what is in no list kills the process.
    Rules allowed;
    Rules refused;  ///< Fail with EPERM.
    Rules unknown;  ///< Fail with ENOSYS, as on a kernel without them, so that the C library uses its older
                    ///< way.
};

/// The filter of a daemon; Supervisor has none.
[[nodiscard]] Filter filter_of(Daemon daemon);

}  // namespace postrider::privsep
