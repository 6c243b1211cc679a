#include <catch2/catch.hpp>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "libcommon/base/fd.h"
#include "libcommon/privsep/profile.h"
#include "tests/unit/privsep/confined_child.h"

/// What only root can give up. For an ordinary user each case ends at once, because there is nothing to test.
namespace postrider::privsep::test {
namespace {

bool is_root() {
    if (::geteuid() == 0) return true;
    WARN("skipped: needs root");
    return false;
}

/// Calls `step` in a child; 0 if it was taken, 1 if it was refused.
template <typename Step>
int refused(Step step) {
    return run_child([&] {
               try {
                   step();
               } catch (const ConfinementFailure&) {
                   return 1;
               }
               return 0;
           })
        .code;
}

}  // namespace

TEST_CASE("daemons run as their user, with no capability left to any program") {
    if (!is_root()) return;
    using enum Daemon;
    for (Daemon daemon :
         {SmtpdListener, SmtpdWorker, Router, QueueManager, LocalDeliveryChild, RemoteDelivery}) {
        Scratch scratch;
        INFO(daemon_name(daemon));
        std::string status = confined_status(daemon, scratch.paths());
        CHECK(status_field(status, "Uid") == "64101\t64101\t64101\t64101");
        CHECK(status_field(status, "Gid") == "64101\t64101\t64101\t64101");
        CHECK(status_field(status, "Groups").find_first_of("0123456789") == std::string::npos);
        CHECK(status_field(status, "CapBnd") == "0000000000000000");
    }
}

TEST_CASE("local-delivery stays root with three capabilities") {
    if (!is_root()) return;
    Scratch scratch;
    std::string status = confined_status(Daemon::LocalDelivery, scratch.paths());
    CHECK(status_field(status, "Uid") == "0\t0\t0\t0");
    CHECK(status_field(status, "CapEff") == "00000000000000e0");
    CHECK(status_field(status, "CapBnd") == "00000000000000e0");
    auto read_others_file = [] { return ::open("/proc/1/mem", O_RDWR) < 0 ? 0 : 1; };
    CHECK(run_confined(Daemon::LocalDelivery, scratch.paths(), read_others_file).code == 0);
}

TEST_CASE("a child of local-delivery becomes its recipient for good") {
    if (!is_root()) return;
    Scratch scratch;
    auto parent = [&] {
        confine(Daemon::LocalDeliveryChild, {.uid = 64102, .gid = 64102, .groups = {64103}}, scratch.paths());
        if (::geteuid() != 64102 || ::setresuid(0, 0, 0) == 0) return 1;
        gid_t group = 0;
        return ::getgroups(1, &group) == 1 && group == 64103 ? 0 : 2;
    };
    CHECK(run_confined(Daemon::LocalDelivery, scratch.paths(), parent).code == 0);
}

TEST_CASE("a chroot has nothing in it, and the way out is closed") {
    if (!is_root()) return;
    Scratch scratch;
    Outcome result = run_child([&] {
        std::string empty = scratch.path() + "/run/empty";
        prepare_empty_directory(empty);
        enter_directory(scratch.path());
        chroot_to(empty);
        struct stat root {};
        struct stat parent {};
        if (::stat("/", &root) < 0 || ::stat("..", &parent) < 0) return 1;
        if (root.st_ino != parent.st_ino || (root.st_mode & 07777) != 0555) return 2;
        return ::access("/etc", F_OK) == 0 ? 3 : 0;
    });
    CHECK(result.code == 0);
}

TEST_CASE("a directory that holds something is no empty directory") {
    if (!is_root()) return;
    Scratch scratch;
    CHECK_THROWS_AS(prepare_empty_directory(scratch.path()), ConfinementFailure);
    std::string link = scratch.path() + "/run/link";
    REQUIRE(::symlink("/", link.c_str()) == 0);
    CHECK_THROWS_AS(prepare_empty_directory(link), ConfinementFailure);
}

TEST_CASE("a daemon is not left as root") {
    if (!is_root()) return;
    Scratch scratch;
    CHECK(refused([] { drop_user(0, 64101); }) == 1);
    CHECK(refused([] { drop_user(64101, 0); }) == 1);
    CHECK(refused([&] { confine(Daemon::Router, {}, scratch.paths()); }) == 1);
    CHECK(refused([] { drop_user(64101, 64101); }) == 0);
}

TEST_CASE("the session worker's empty directory is made if it is missing") {
    if (!is_root()) return;
    Scratch scratch;
    CHECK(run_confined(Daemon::SmtpdWorker, scratch.paths(), [] { return 0; }).code == 0);
    struct stat status {};
    REQUIRE(::stat((scratch.path() + "/run/empty").c_str(), &status) == 0);
    CHECK(status.st_uid == 0);
    CHECK((status.st_mode & 07777) == 0555);
}

}  // namespace postrider::privsep::test
