#include "tests/unit/privsep/confined_child.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "libcommon/base/fd.h"
#include "libcommon/base/file.h"

namespace postrider::privsep::test {
namespace {

void require(bool success, const char* what) {
    if (!success) throw std::runtime_error(what);
}

Outcome outcome_of(pid_t child) {
    int status = 0;
    require(::waitpid(child, &status, 0) == child, "waitpid");
    if (WIFSIGNALED(status)) return {.killed = WTERMSIG(status) == SIGSYS, .code = -1};
    return {.killed = false, .code = WEXITSTATUS(status)};
}

int confine_and_call(Daemon daemon, const Paths& paths, const std::function<int()>& action) {
    try {
        confine(daemon, child_identity(), paths);
    } catch (const ConfinementFailure& failure) {
        std::fprintf(stderr, "confinement failed: %s\n", failure.what());
        return kConfinementFailed;
    }
    return action();
}

}  // namespace

Scratch::Scratch() : path_("/tmp/privsep-test-XXXXXX") {
    require(::mkdtemp(path_.data()) != nullptr, "mkdtemp");
    require(::chmod(path_.c_str(), 0755) == 0, "chmod");
    for (const char* name : {"/run", "/spool", "/home"}) {
        std::string directory = path_ + name;
        require(::mkdir(directory.c_str(), 0755) == 0, "mkdir");
        if (::geteuid() == 0) require(::chown(directory.c_str(), kTestUid, kTestUid) == 0, "chown");
    }
}

Scratch::~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

Paths Scratch::paths() const {
    Paths paths;
    paths.run_directory = path_ + "/run";
    paths.spool_directory = path_ + "/spool";
    paths.writable = {path_ + "/home"};
    return paths;
}

Identity child_identity() {
    if (::geteuid() == 0) return test_identity();
    return {.uid = ::geteuid(), .gid = ::getegid(), .groups = {}};
}

Outcome run_child(const std::function<int()>& action) {
    pid_t child = ::fork();
    require(child >= 0, "fork");
    if (child == 0) ::_exit(action());
    return outcome_of(child);
}

Outcome run_confined(Daemon daemon, const Paths& paths, const std::function<int()>& action) {
    return run_child([&] { return confine_and_call(daemon, paths, action); });
}

std::string confined_status(Daemon daemon, const Paths& paths) {
    std::array<int, 2> ready{};
    std::array<int, 2> finish{};
    require(::pipe2(ready.data(), O_CLOEXEC) == 0 && ::pipe2(finish.data(), O_CLOEXEC) == 0, "pipe2");
    Fd ready_read(ready[0]);
    Fd ready_write(ready[1]);
    Fd finish_read(finish[0]);
    Fd finish_write(finish[1]);
    pid_t child = ::fork();
    require(child >= 0, "fork");
    char byte = 0;
    if (child == 0) {
        finish_write.reset();
        ::_exit(confine_and_call(daemon, paths, [&] {
            bool told = ::write(ready_write.get(), "x", 1) == 1;
            return told && ::read(finish_read.get(), &byte, 1) == 0 ? 0 : 1;
        }));
    }
    ready_write.reset();
    bool confined = ::read(ready_read.get(), &byte, 1) == 1;
    auto status = read_file("/proc/" + std::to_string(child) + "/status", std::size_t{64} * 1024);
    finish_write.reset();
    Outcome outcome = outcome_of(child);
    require(confined && outcome.code == 0 && status, "the child did not confine itself");
    return *status;
}

std::string status_field(const std::string& status, const std::string& field) {
    std::size_t start = status.find("\n" + field + ":\t");
    if (start == std::string::npos) return "missing";
    start += field.size() + 3;
    return status.substr(start, status.find('\n', start) - start);
}

}  // namespace postrider::privsep::test
