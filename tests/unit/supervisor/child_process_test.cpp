#include "supervisor/child_process.h"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <string>

using namespace postrider;
using namespace postrider::supervisor;

namespace {

int run_shell(const std::string& script, const std::vector<Fd>& sockets) {
    auto pid = start_process("/bin/sh", {"-c", script}, sockets);
    REQUIRE(pid.has_value());
    int status = 0;
    REQUIRE(::waitpid(*pid, &status, 0) == *pid);
    REQUIRE(WIFEXITED(status));
    return WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("a started process gets the sockets from descriptor 3 on, and nothing else") {
    std::vector<Fd> sockets;
    for (int n = 0; n < 3; ++n)
        sockets.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    Fd not_passed(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    CHECK(run_shell("test \"$LISTEN_FDS\" = 3 && test \"$LISTEN_PID\" = $$", sockets) == 0);
    CHECK(run_shell("for n in 3 4 5; do test -S /proc/self/fd/$n || exit $n; done", sockets) == 0);
    CHECK(run_shell("for n in 6 7 8 9 10 11; do test ! -e /proc/$$/fd/$n || exit $n; done", sockets) == 0);
    CHECK(run_shell("test -z \"$LISTEN_FDS\" && test ! -S /proc/self/fd/3", {}) == 0);
}

TEST_CASE("a file that cannot be run is an error with the system's reason") {
    auto pid = start_process("/nowhere/at/all", {}, {});
    REQUIRE_FALSE(pid.has_value());
    CHECK(pid.error().text.find("No such file") != std::string::npos);
    CHECK(pid.error().text.find("/nowhere/at/all") != std::string::npos);
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
}
