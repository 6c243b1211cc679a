#include "libcommon/privsep/steps.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string_view>

#include "libcommon/base/fd.h"
#include "libcommon/privsep/failure.h"

namespace postrider::privsep {
namespace {

constexpr mode_t kEmptyDirectoryMode = 0555;

void require_empty(int directory, const std::string& path) {
    // fdopendir takes the descriptor over, hence the copy.
    std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(::dup(directory)), ::closedir);
    if (!stream) fail(path, errno);
    while (const dirent* entry = ::readdir(stream.get())) {
        std::string_view name = entry->d_name;
        if (name != "." && name != "..") throw ConfinementFailure(path + ": is not empty");
    }
}

/// Sets one limit, lowered to the hard limit where only root could raise that.
void set_limit(__rlimit_resource_t resource, rlim_t value, const char* name) {
    rlimit limit{.rlim_cur = value, .rlim_max = value};
    if (::setrlimit(resource, &limit) == 0) return;
    rlimit current{};
    if (::getrlimit(resource, &current) < 0) fail(name, errno);
    limit.rlim_cur = limit.rlim_max = std::min(value, current.rlim_max);
    if (::setrlimit(resource, &limit) < 0) fail(name, errno);
}

}  // namespace

void enter_directory(const std::string& path) {
    Fd directory(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!directory) fail(path, errno);
    if (::fchdir(directory.get()) < 0) fail(path, errno);
}

void prepare_empty_directory(const std::string& path) {
    if (::mkdir(path.c_str(), kEmptyDirectoryMode) < 0 && errno != EEXIST) fail(path, errno);
    Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory) fail(path, errno);
    // The umask of whoever made it does not matter any more after this.
    if (::fchown(directory.get(), 0, 0) < 0) fail(path, errno);
    if (::fchmod(directory.get(), kEmptyDirectoryMode) < 0) fail(path, errno);
    require_empty(directory.get(), path);
}

void chroot_to(const std::string& path) {
    if (::chroot(path.c_str()) < 0) fail("chroot " + path, errno);
    // A working directory outside the new root would be a way out of it.
    if (::chdir("/") < 0) fail("chdir to the new root", errno);
}

void drop_user(uid_t uid, gid_t gid, const std::vector<gid_t>& groups) {
    if (uid == 0 || gid == 0) throw ConfinementFailure("the process would stay root: uid or gid is 0");
    // Groups first and the user last: each step needs the right that the last one gives up.
    if (::setgroups(groups.size(), groups.data()) < 0) fail("setgroups", errno);
    if (::setresgid(gid, gid, gid) < 0) fail("setresgid", errno);
    // EAGAIN (too many processes of that user) leaves the process root; it must not go on then either.
    if (::setresuid(uid, uid, uid) < 0) fail("setresuid", errno);
    // A process that kept CAP_SETUID by some setting it inherited would pass everything above.
    if (::setresuid(0, 0, 0) == 0 || ::setresgid(0, 0, 0) == 0) {
        throw ConfinementFailure("the process can become root again");
    }
    uid_t real_uid = 0;
    uid_t effective_uid = 0;
    uid_t saved_uid = 0;
    if (::getresuid(&real_uid, &effective_uid, &saved_uid) < 0) fail("getresuid", errno);
    if (real_uid != uid || effective_uid != uid || saved_uid != uid) {
        throw ConfinementFailure("the change of user had no effect");
    }
}

void no_new_privileges() {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) fail("PR_SET_NO_NEW_PRIVS", errno);
}

void not_dumpable() {
#ifndef POSTRIDER_SANITIZED
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) fail("PR_SET_DUMPABLE", errno);
#endif
}

void set_resource_limits(const ResourceLimits& limits) {
    set_limit(RLIMIT_CORE, 0, "RLIMIT_CORE");
    if (limits.descriptors) set_limit(RLIMIT_NOFILE, *limits.descriptors, "RLIMIT_NOFILE");
    if (limits.file_bytes) set_limit(RLIMIT_FSIZE, *limits.file_bytes, "RLIMIT_FSIZE");
#ifndef POSTRIDER_SANITIZED
    // The sanitizers map terabytes of shadow memory, and the leak checker starts a process at exit.
    if (limits.data_bytes) set_limit(RLIMIT_DATA, *limits.data_bytes, "RLIMIT_DATA");
    if (limits.processes) set_limit(RLIMIT_NPROC, *limits.processes, "RLIMIT_NPROC");
#endif
}

}  // namespace postrider::privsep
