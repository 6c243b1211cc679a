#include "libcommon/privsep/steps.h"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "libcommon/base/fd.h"
#include "libcommon/privsep/landlock.h"
#include "tests/unit/privsep/confined_child.h"

namespace postrider::privsep::test {

TEST_CASE("enter_directory changes to it, or says why not") {
    Scratch scratch;
    Outcome result = run_child([&] {
        enter_directory(scratch.path() + "/run");
        std::array<char, 256> where{};
        return ::getcwd(where.data(), where.size()) == scratch.path() + "/run" ? 0 : 1;
    });
    CHECK(result.code == 0);
    CHECK_THROWS_WITH(enter_directory("/no/such"), "/no/such: No such file or directory");
}

TEST_CASE("limits are set, and core files are off") {
    Outcome result = run_child([] {
        set_resource_limits({.descriptors = 64, .processes = {}, .data_bytes = {}, .file_bytes = 1000});
        rlimit core{};
        rlimit descriptors{};
        rlimit file{};
        ::getrlimit(RLIMIT_CORE, &core);
        ::getrlimit(RLIMIT_NOFILE, &descriptors);
        ::getrlimit(RLIMIT_FSIZE, &file);
        if (core.rlim_max != 0 || file.rlim_max != 1000) return 1;
        return descriptors.rlim_cur == 64 && descriptors.rlim_max == 64 ? 0 : 2;
    });
    CHECK(result.code == 0);
}

TEST_CASE("a limit that cannot be raised is lowered to what may be had") {
    if (::geteuid() == 0) return;  // Root can raise it.
    Outcome result = run_child([] {
        set_resource_limits({.descriptors = 64, .processes = {}, .data_bytes = {}, .file_bytes = {}});
        set_resource_limits({.descriptors = 128, .processes = {}, .data_bytes = {}, .file_bytes = {}});
        rlimit descriptors{};
        ::getrlimit(RLIMIT_NOFILE, &descriptors);
        return descriptors.rlim_cur == 64 ? 0 : 1;
    });
    CHECK(result.code == 0);
}

TEST_CASE("no_new_privileges and not_dumpable set their flags") {
    Outcome result = run_child([] {
        no_new_privileges();
        not_dumpable();
#ifdef POSTRIDER_SANITIZED
        constexpr int kDumpable = 1;
#else
        constexpr int kDumpable = 0;
#endif
        if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 1;
        return ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == kDumpable ? 0 : 2;
    });
    CHECK(result.code == 0);
}

TEST_CASE("Landlock leaves what the rules name") {
    if (landlock_abi() == 0) {
        WARN("skipped: the kernel has no Landlock");
        return;
    }
    Scratch scratch;
    std::string spool = scratch.path() + "/spool";
    Outcome result = run_child([&] {
        no_new_privileges();
        landlock({.paths = {{spool, PathAccess::ReadWrite}, {"/etc", PathAccess::Read}, {"/no/such"}}});
        if (::open((spool + "/file").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0) return 1;
        if (::open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0) return 2;
        if (::open("/usr", O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES) return 3;
        return ::access("/etc", W_OK) == 0 || ::open("/etc/new", O_WRONLY | O_CREAT, 0600) < 0 ? 0 : 4;
    });
    CHECK(result.code == 0);
}

}  // namespace postrider::privsep::test
