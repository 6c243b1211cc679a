#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

/// The single steps by which a process gives its rights away, in the order in which confine() (profile.h)
/// takes them. Each either did what its name says or throws ConfinementFailure: a daemon that could not give
/// up a right must not run with it, and an exception cannot be overlooked. All of them are called before the
/// first thread is started, because some rights belong to a thread.
namespace postrider::privsep {

/// A step that could not be taken; what() names the step and the system's reason. Caught at the top of
/// main().
class ConfinementFailure : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// Makes `path` the working directory. Sockets are addressed by bare name from there, so that neither rights
/// on the directories above nor the length of the path matter.
void enter_directory(const std::string& path);

/// Creates `path` if it is missing, and makes sure that it is a directory of root's that holds nothing and
/// that nobody may write: what a session worker sees of the file system. Needs root.
void prepare_empty_directory(const std::string& path);

/// Makes `path` the root directory and enters it, so that no descriptor-less way leads out of it. Needs root.
void chroot_to(const std::string& path);

/// Becomes `uid` and `gid` for good, with `groups` as the only supplementary groups, and proves that the way
/// back to root is closed. Needs root, and refuses uid 0 and gid 0.
void drop_user(uid_t uid, gid_t gid, const std::vector<gid_t>& groups = {});

/// Capabilities by number: bit N stands for capability N of linux/capability.h.
using CapabilityMask = std::uint64_t;

[[nodiscard]] constexpr CapabilityMask capability_bit(unsigned capability) {
    return CapabilityMask{1} << capability;
}

/// Takes every capability that is not in `keep` out of the bounding set, which limits what any later exec
/// could give. Comes before drop_user(), because it needs CAP_SETPCAP; a process without it (an ordinary
/// user, or a child of a process that did this before) keeps the set, which no_new_privileges() makes
/// meaningless.
void drop_bounding_set(CapabilityMask keep);

/// Gives up every effective, permitted, inheritable and ambient capability that is not in `keep`. What is
/// kept is effective and permitted only, so that no program inherits it. Nothing is gained: a capability in
/// `keep` that the process lacks stays lacking.
void drop_capabilities(CapabilityMask keep);

/// Sets PR_SET_NO_NEW_PRIVS: no exec, of any program, gives this process or its children more rights.
void no_new_privileges();

/// Clears the dumpable flag: no core file, and no other process of the same user may trace this one or read
/// its memory. Sanitizer builds leave it set, because the leak checker traces its own process at exit.
void not_dumpable();

/// Upper limits of one process. An empty field leaves the limit as it is.
struct ResourceLimits {
    std::optional<rlim_t>
        descriptors;  ///< RLIMIT_NOFILE; lowered to the hard limit where that cannot be raised.
    std::optional<rlim_t> processes;   ///< RLIMIT_NPROC: threads and processes of the whole uid.
    std::optional<rlim_t> data_bytes;  ///< RLIMIT_DATA: heap and private mappings. Not in sanitizer builds.
    std::optional<rlim_t> file_bytes;  ///< RLIMIT_FSIZE. Mind that standard error may be a file.
};

/// Sets the given limits, soft and hard, and RLIMIT_CORE to 0: memory of a daemon is never written to disk.
void set_resource_limits(const ResourceLimits& limits);

}  // namespace postrider::privsep
