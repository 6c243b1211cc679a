#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace postrider::privsep {

/// What Landlock leaves of a file hierarchy.
enum class PathAccess {
    Read,         ///< Read files and list directories.
    ReadExecute,  ///< The same, and execute files.
    ReadWrite,    ///< Read, write, create, rename, link and remove regular files, directories, and so on.
};

/// What Landlock leaves of TCP (from ABI 4, Linux 6.7, on).
enum class TcpAccess {
    None,     ///< No bind, no connect; sockets that are already open stay as they are.
    Connect,  ///< Connect anywhere, bind to port 0 (a source address) only.
    Any,      ///< Not restricted.
};

struct PathRule {
    std::string path;  ///< A directory, with everything below it, or a single file.
    PathAccess access = PathAccess::Read;
};

/// The rights that are left. Everything not named is refused with EACCES, for this process and its children.
struct LandlockRules {
    bool restrict_files = true;   ///< false: `paths` does not matter.
    std::vector<PathRule> paths;  ///< A path that does not exist is skipped with a debug line.
    TcpAccess tcp = TcpAccess::None;
    bool scope_signals = true;           ///< Signals only to processes under the same rules (ABI 6).
    bool scope_abstract_sockets = true;  ///< Abstract Unix sockets likewise (ABI 6).
};

/// The Landlock ABI of the running kernel; 0 where it has none.
[[nodiscard]] int landlock_abi();

/// Applies `rules` to the calling thread, and to what it starts from now on, as far as the kernel's ABI goes.
/// A kernel without Landlock, or one that cannot rename between directories under it (ABI 1) where something
/// is to be written, gets a log line and no restriction: seccomp and the change of user stand without it.
/// Needs no_new_privileges(). Throws ConfinementFailure where the kernel has Landlock but refuses the rules.
void landlock(const LandlockRules& rules);

}  // namespace postrider::privsep
