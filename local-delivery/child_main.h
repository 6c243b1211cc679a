#pragma once

#include "libcommon/base/fd.h"
#include "libcommon/config/settings.h"
#include "libcommon/ipc/local.pb.h"

namespace postrider::local_delivery {

/// Whose rights a child takes: what the router put into LocalTarget.
struct ChildUser {
    uid_t uid = 0;
    gid_t gid = 0;
    std::string name;  ///< of a system user, whose supplementary groups are taken; else empty

    friend auto operator<=>(const ChildUser&, const ChildUser&) = default;
};

/// The life of a child of local-delivery, right after fork(): closes everything but `socket`, takes the
/// user's rights for good, then performs the jobs that come over the socket, one after the other, until it is
/// closed. It blocks in its system calls; it has no loop, no other peer and nothing else to do. Never
/// returns.
[[noreturn]] void run_child(Fd socket, const ChildUser& user, const config::Settings& settings);

/// Performs one job with the rights the process has. `file` is the queue file, `parent` the socket to the
/// parent, without which there is nobody to report to.
[[nodiscard]] wire::DeliveryResult perform(const wire::ChildJob& job, const Fd& file, const Fd& parent,
                                           const config::Settings& settings);

}  // namespace postrider::local_delivery
