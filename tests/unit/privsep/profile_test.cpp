#include "libcommon/privsep/profile.h"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <iterator>
#include <map>
#include <thread>

#include "libcommon/base/fd.h"
#include "tests/unit/privsep/confined_child.h"

namespace postrider::privsep::test {
namespace {

constexpr std::array kAllDaemons{Daemon::SmtpdListener,  Daemon::SmtpdWorker,   Daemon::Router,
                                 Daemon::QueueManager,   Daemon::LocalDelivery, Daemon::LocalDeliveryChild,
                                 Daemon::RemoteDelivery, Daemon::Keyd};

/// What an attempt returns: 0, or errno.
int outcome(long result) {
    return result < 0 ? errno : 0;
}

int open_to_create() {
    return outcome(::open("created", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}
int open_to_read() {
    return outcome(::open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}
int internet_socket() {
    return outcome(::socket(AF_INET, SOCK_STREAM, 0));
}
int unix_socket() {
    return outcome(::socket(AF_UNIX, SOCK_SEQPACKET, 0));
}
int packet_socket() {
    return outcome(::socket(AF_PACKET, SOCK_RAW, 0));
}
int become_root() {
    return outcome(::syscall(SYS_setresuid, 0, 0, 0));
}
int trace_parent() {
    return outcome(::ptrace(PTRACE_ATTACH, ::getppid(), nullptr, nullptr));
}
int signal_parent() {
    return outcome(::kill(::getppid(), 0));
}
int change_root() {
    return outcome(::chroot("."));
}
int new_user_namespace() {
    return outcome(::unshare(CLONE_NEWUSER));
}
int load_bpf() {
    return outcome(::syscall(SYS_bpf, 0, nullptr, 0));
}
int make_fifo() {
    return outcome(::mknod("fifo", S_IFIFO | 0600, 0));
}
int make_directory() {
    return outcome(::mkdir("directory", 0700));
}

int connect_anywhere() {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = "missing.sock"};
    return outcome(::connect(STDIN_FILENO, reinterpret_cast<const sockaddr*>(&address), sizeof address));
}

int start_program() {
    std::array<char*, 1> none{nullptr};
    return outcome(::execve("/bin/true", none.data(), none.data()));
}

int start_process() {
    // Not fork(): the C library's handlers have no part in this.
    long child = ::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr);
    if (child == 0) ::_exit(0);
    return outcome(child);
}

int start_thread() {
    std::thread([] {}).join();
    return 0;
}

int executable_memory() {
    void* memory =
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? errno : 0;
}

/// What the files of a message stand for: a descriptor that was handed over.
Fd handed_file() {
    return Fd(::memfd_create("message", MFD_CLOEXEC));
}
int truncate_handed_file(int file) {
    return outcome(::ftruncate(file, 0));
}

enum class Expected {
    Killed,
    Refused,  ///< Killed or an error: which of them depends on the build and on who runs the test.
    Allowed,
};

/// Sanitizer builds must be able to report what they find before they die, which includes a try to fork.
#ifdef POSTRIDER_SANITIZED
constexpr Expected kForkExpected = Expected::Refused;
#else
constexpr Expected kForkExpected = Expected::Killed;
#endif

struct Case {
    const char* name;
    int (*attempt)();
    Daemon daemon;
    Expected expected;
};

void check(const Outcome& result, Expected expected) {
    CHECK(result.code != kConfinementFailed);
    switch (expected) {
        case Expected::Killed:
            CHECK(result.killed);
            break;
        case Expected::Refused:
            CHECK((result.killed || result.code > 0));
            break;
        case Expected::Allowed:
            CHECK_FALSE(result.killed);
            CHECK(result.code == 0);
            break;
    }
}

void check_cases(const std::vector<Case>& cases) {
    for (const Case& row : cases) {
        Scratch scratch;
        INFO(daemon_name(row.daemon) << ": " << row.name);
        check(run_confined(row.daemon, scratch.paths(), row.attempt), row.expected);
    }
}

std::vector<Case> for_daemons(const char* name, int (*attempt)(),
                              const std::map<Daemon, Expected>& expected) {
    std::vector<Case> cases;
    for (auto [daemon, outcome] : expected)
        cases.push_back({name, attempt, daemon, outcome});
    return cases;
}

}  // namespace

using enum Daemon;
using enum Expected;

TEST_CASE("files can be opened only by those that work on files") {
    // Sanitizer builds let the filter pass what only reads; chroot and Landlock still refuse it.
    check_cases(for_daemons("open to read", open_to_read,
                            {{SmtpdListener, Refused},
                             {SmtpdWorker, Refused},
                             {RemoteDelivery, Refused},
                             {Keyd, Refused},  // It is no certificate.
                             {QueueManager, Refused},
                             {Router, Allowed},
                             {LocalDelivery, Allowed},
                             {LocalDeliveryChild, Allowed}}));
    check_cases(for_daemons("open to create", open_to_create,
                            {{SmtpdListener, Killed},
                             {SmtpdWorker, Killed},
                             {RemoteDelivery, Killed},
                             {Keyd, Killed},
                             {Router, Killed},
                             {QueueManager, Refused},           // The run directory is not the spool.
                             {LocalDeliveryChild, Refused}}));  // Nor is it the user's home.
    check_cases(for_daemons("mkdir", make_directory,
                            {{SmtpdListener, Killed},
                             {SmtpdWorker, Killed},
                             {RemoteDelivery, Killed},
                             {Router, Killed},
                             {QueueManager, Refused}}));
    check_cases(for_daemons("mknod", make_fifo, {{SmtpdWorker, Killed}, {QueueManager, Killed}}));
}

TEST_CASE("sockets can be made only by those that connect") {
    check_cases(for_daemons("internet socket", internet_socket,
                            {{SmtpdListener, Killed},
                             {SmtpdWorker, Killed},
                             {QueueManager, Killed},
                             {Keyd, Killed},
                             {Router, Allowed},
                             {RemoteDelivery, Allowed}}));
    check_cases(for_daemons("unix socket", unix_socket,
                            {{SmtpdListener, Allowed},
                             {SmtpdWorker, Killed},
                             {Keyd, Killed},
                             {QueueManager, Allowed},
                             {Router, Allowed},
                             {RemoteDelivery, Allowed}}));
    check_cases(for_daemons("connect", connect_anywhere, {{SmtpdWorker, Killed}}));
    check_cases(for_daemons("packet socket", packet_socket,
                            {{SmtpdListener, Killed},
                             {SmtpdWorker, Killed},
                             {QueueManager, Killed},
                             {Router, Killed},
                             {RemoteDelivery, Killed},
                             {LocalDelivery, Refused},
                             {LocalDeliveryChild, Refused}}));
}

TEST_CASE("processes, programs and threads are started only where the work needs it") {
    check_cases(for_daemons("exec", start_program,
                            {{SmtpdListener, Killed},
                             {SmtpdWorker, Killed},
                             {QueueManager, Killed},
                             {Router, Killed},
                             {RemoteDelivery, Killed},
                             {Keyd, Killed},
                             {LocalDelivery, Allowed},
                             {LocalDeliveryChild, Allowed}}));
    check_cases(for_daemons("fork", start_process,
                            {{SmtpdListener, kForkExpected},
                             {SmtpdWorker, kForkExpected},
                             {QueueManager, kForkExpected},
                             {Router, kForkExpected},
                             {RemoteDelivery, kForkExpected},
                             {LocalDelivery, Allowed},
                             {LocalDeliveryChild, Allowed}}));
    check_cases(for_daemons("thread", start_thread,
                            {{QueueManager, Allowed}, {Router, Allowed}, {LocalDeliveryChild, Allowed}}));
    check_cases(for_daemons(
        "executable memory", executable_memory,
        {{SmtpdListener, Killed}, {SmtpdWorker, Killed}, {QueueManager, Killed}, {RemoteDelivery, Killed}}));
}

TEST_CASE("nobody traces, signals or impersonates others") {
    for (Daemon daemon : kAllDaemons) {
        bool programs = daemon == LocalDelivery || daemon == LocalDeliveryChild;
        check_cases({{"chroot", change_root, daemon, programs ? Refused : Killed},
                     {"bpf", load_bpf, daemon, programs ? Refused : Killed},
                     {"user namespace", new_user_namespace, daemon, programs ? Refused : Killed}});
        if (daemon == LocalDelivery) continue;  // It may become any user, and ends its children.
        check_cases({{"setresuid", become_root, daemon, programs ? Refused : Killed}});
        if (programs) continue;
        check_cases({{"kill", signal_parent, daemon, Killed}, {"ptrace", trace_parent, daemon, Refused}});
    }
}

#ifndef POSTRIDER_SANITIZED
TEST_CASE("tracing is refused to users' programs, and kills a daemon") {
    check_cases({{"ptrace", trace_parent, LocalDelivery, Refused},
                 {"ptrace", trace_parent, LocalDeliveryChild, Refused},
                 {"ptrace", trace_parent, SmtpdWorker, Killed},
                 {"ptrace", trace_parent, QueueManager, Killed}});
}

TEST_CASE("opening a file kills those that hold descriptors only") {
    check_cases({{"open to read", open_to_read, SmtpdListener, Killed},
                 {"open to read", open_to_read, SmtpdWorker, Killed},
                 {"open to read", open_to_read, RemoteDelivery, Killed}});
}
#endif

TEST_CASE("a session worker can only append to the file it was handed") {
    Scratch scratch;
    Fd file = handed_file();
    REQUIRE(::fcntl(file.get(), F_SETFL, O_APPEND) == 0);
    auto worker = [&](auto attempt) {
        return run_confined(SmtpdWorker, scratch.paths(), [&] { return attempt(file.get()); });
    };
    check(worker(truncate_handed_file), Killed);
#ifndef POSTRIDER_SANITIZED
    check(worker([](int fd) { return outcome(::lseek(fd, 0, SEEK_SET)); }), Killed);
#endif
    CHECK(worker([](int fd) { return ::write(fd, "content", 7) == 7 ? 0 : 1; }).code == 0);
    CHECK(worker([](int fd) { return outcome(::fcntl(fd, F_SETFL, O_NONBLOCK)); }).code == EPERM);
    CHECK(worker([](int fd) { return ::fcntl(fd, F_GETFL) < 0 ? 1 : 0; }).code == 0);
    CHECK(worker([](int fd) { return ::fcntl(fd, F_DUPFD_CLOEXEC, 0) < 0 ? 1 : 0; }).code == 0);
}

TEST_CASE("the queue-manager works in its spool and nowhere else") {
    Scratch scratch;
    Paths paths = scratch.paths();
    std::string spool = paths.spool_directory;
    auto commit = [&] {
        if (::mkdir((spool + "/tmp").c_str(), 0700) < 0) return 1;
        Fd file(::open((spool + "/tmp/a").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        if (!file || ::pwrite(file.get(), "a", 1, 0) != 1) return 2;
        if (::rename((spool + "/tmp/a").c_str(), (spool + "/b").c_str()) < 0) return 3;
        if (::fsync(file.get()) < 0) return 4;
        return ::unlink((spool + "/b").c_str()) < 0 ? 5 : 0;
    };
    CHECK(run_confined(QueueManager, paths, commit).code == 0);
    auto outside = [&] {
        return outcome(::open((scratch.path() + "/home/x").c_str(), O_WRONLY | O_CREAT, 0600));
    };
    CHECK(run_confined(QueueManager, paths, outside).code == EACCES);
}

TEST_CASE("a recipient's child delivers into its home and runs programs there") {
    Scratch scratch;
    std::string home = scratch.path() + "/home";
    auto deliver = [&] {
        if (::chdir(home.c_str()) < 0) return 1;
        return std::system("echo mail > inbox && ln inbox link && mv link other") == 0 ? 0 : 2;
    };
    CHECK(run_confined(LocalDeliveryChild, scratch.paths(), deliver).code == 0);
    auto no_gain = [] { return std::system("grep -q '^NoNewPrivs:.1$' /proc/self/status") == 0 ? 0 : 1; };
    CHECK(run_confined(LocalDeliveryChild, scratch.paths(), no_gain).code == 0);
}

TEST_CASE("a confined process ends in order, under the leak checker where there is one") {
    for (Daemon daemon : kAllDaemons) {
        Scratch scratch;
        INFO(daemon_name(daemon));
        CHECK(run_confined(daemon, scratch.paths(), []() -> int { std::exit(0); }).code == 0);
    }
}

TEST_CASE("what the kernel says of each process") {
    for (Daemon daemon : kAllDaemons) {
        Scratch scratch;
        INFO(daemon_name(daemon));
        std::string status = confined_status(daemon, scratch.paths());
        CHECK(status_field(status, "NoNewPrivs") == "1");
        CHECK(status_field(status, "Seccomp") == "2");
        if (::geteuid() == 0 && daemon == LocalDelivery) continue;
        // keyd as root may read what others may not (CAP_DAC_READ_SEARCH, bit 2).
        const bool reads_all = ::geteuid() == 0 && daemon == Keyd;
        const std::string expected = reads_all ? "0000000000000004" : "0000000000000000";
        CHECK(status_field(status, "CapEff") == expected);
        CHECK(status_field(status, "CapPrm") == expected);
        CHECK(status_field(status, "CapInh") == "0000000000000000");
        CHECK(status_field(status, "CapAmb") == "0000000000000000");
    }
}

TEST_CASE("a process with threads is not confined") {
    Scratch scratch;
    Outcome result = run_child([&]() -> int {
        std::thread sleeper([] { ::pause(); });
        try {
            confine(Router, child_identity(), scratch.paths());
        } catch (const ConfinementFailure&) {
            ::_exit(0);
        }
        ::_exit(1);
    });
    CHECK(result.code == 0);
}

TEST_CASE("the supervisor gets limits only") {
    Scratch scratch;
    std::string status = confined_status(Supervisor, scratch.paths());
    CHECK(status_field(status, "NoNewPrivs") == "0");
    CHECK(status_field(status, "Seccomp") == "0");
}

}  // namespace postrider::privsep::test
