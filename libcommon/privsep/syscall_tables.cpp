#include "libcommon/privsep/syscall_tables.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

/// The system calls of each process.
///
/// A table is a list of names with conditions on arguments. A filter sees the argument registers only, never
/// what a pointer points to: paths and socket addresses are for Landlock, chroot and the user to decide.
/// Calls that are harmless for everybody are in base(); everything that gives access to something is in a
/// small table named after what it gives, and filter_of() at the end says who gets which.
namespace postrider::privsep {
namespace {

// Arguments of type int are compared in their lower half: the kernel ignores the upper one, and so must we.
constexpr std::uint64_t kIntMask = 0xffffffff;

scmp_arg_cmp argument(unsigned index, std::uint64_t mask, std::uint64_t value) {
    return {.arg = index, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
}

scmp_arg_cmp is(unsigned index, std::uint64_t value) {
    return argument(index, kIntMask, value & kIntMask);
}

scmp_arg_cmp has(unsigned index, std::uint64_t bits) {
    return argument(index, bits, bits);
}

scmp_arg_cmp lacks(unsigned index, std::uint64_t bits) {
    return argument(index, bits, 0);
}

scmp_arg_cmp is_null(unsigned index) {
    return {.arg = index, .op = SCMP_CMP_EQ, .datum_a = 0, .datum_b = 0};
}

Rules operator+(Rules left, const Rules& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

// ---- What every daemon with an allow-list may do: nothing that reaches outside its own memory and
// descriptors.

/// Memory is never made executable: there is no code that a process makes for itself.
Rules memory() {
    return {
        "brk",
        "munmap",
        "mremap",
        "madvise",
        "membarrier",
        {"mmap", {lacks(2, PROT_EXEC)}},
        {"mprotect", {lacks(2, PROT_EXEC)}},
    };
}

Rules held_descriptors() {
    return {
        "read",
        "readv",
        "write",
        "writev",
        "close",
        "close_range",
        "fstat",
        "poll",
        "ppoll",
        // The C library's fstat() is this call with an empty path.
        {"newfstatat", {has(3, AT_EMPTY_PATH)}},
        {"fcntl", {is(1, F_GETFD)}},
        {"fcntl", {is(1, F_SETFD)}},
        {"fcntl", {is(1, F_GETFL)}},
        {"fcntl", {is(1, F_DUPFD_CLOEXEC)}},
        {"ioctl", {is(1, FIONREAD)}},
        {"ioctl", {is(1, FIONBIO)}},
        {"ioctl", {is(1, TCGETS)}},
    };
}

Rules held_sockets() {
    return {
        "recvmsg",    "sendmsg",     "recvfrom",    "sendto",
        "recvmmsg",   "sendmmsg",    "shutdown",    "getsockopt",
        "setsockopt", "getsockname", "getpeername", {"socketpair", {is(0, AF_UNIX)}},
    };
}

Rules event_loop() {
    return {
        "epoll_create", "epoll_create1",  "epoll_ctl",       "epoll_wait",      "epoll_pwait", "epoll_pwait2",
        "eventfd2",     "timerfd_create", "timerfd_settime", "timerfd_gettime", "signalfd4",   "pipe2",
    };
}

Rules signals_and_end() {
    return {
        "rt_sigaction",
        "rt_sigprocmask",
        "rt_sigreturn",
        "rt_sigtimedwait",
        "rt_sigsuspend",
        "rt_sigpending",
        "sigaltstack",
        "pause",
        "alarm",
        "setitimer",
        "restart_syscall",
        "exit",
        "exit_group",
        // raise() and abort(); no other process can be named.
        {"tgkill", {is(0, static_cast<std::uint64_t>(::getpid()))}},
    };
}

Rules clocks_and_facts() {
    return {
        "clock_gettime",
        "clock_getres",
        "clock_nanosleep",
        "nanosleep",
        "gettimeofday",
        "time",
        "times",
        "getpid",
        "getppid",
        "gettid",
        "getuid",
        "geteuid",
        "getgid",
        "getegid",
        "getresuid",
        "getresgid",
        "getgroups",
        "uname",
        "sysinfo",
        "getrusage",
        "getrlimit",
        "getcpu",
        "getrandom",
        "umask",
        {"prlimit64", {is_null(2)}},  // Ask only.
        {"prctl", {is(0, PR_SET_NAME)}},
    };
}

Rules this_thread() {
    return {"futex", "set_robust_list", "get_robust_list",  "set_tid_address",
            "rseq",  "sched_yield",     "sched_getaffinity"};
}

Rules base() {
    return memory() + held_descriptors() + held_sockets() + event_loop() + signals_and_end() +
           clocks_and_facts() + this_thread();
}

// ---- What single daemons may do beyond that.

/// Not for session workers: they could take O_APPEND off the descriptor of a message and write over its
/// start.
Rules descriptor_flags() {
    return {{"fcntl", {is(1, F_SETFL)}}};
}

/// Threads of this process; a new process lacks CLONE_THREAD.
Rules threads() {
    return {{"clone", {has(0, CLONE_THREAD | CLONE_VM | CLONE_SIGHAND)}}};
}

Rules accepting() {
    return {"accept", "accept4"};
}

Rules connecting_locally() {
    return {"connect", {"socket", {is(0, AF_UNIX)}}};
}

/// TCP and UDP, and nothing else of IP; bind is for source addresses.
Rules connecting_to_network() {
    constexpr std::uint64_t kTypeMask = 0xf;  // Above are SOCK_NONBLOCK and SOCK_CLOEXEC.
    return {
        "connect",
        "bind",
        {"socket", {is(0, AF_INET), argument(1, kTypeMask, SOCK_STREAM)}},
        {"socket", {is(0, AF_INET), argument(1, kTypeMask, SOCK_DGRAM)}},
        {"socket", {is(0, AF_INET6), argument(1, kTypeMask, SOCK_STREAM)}},
        {"socket", {is(0, AF_INET6), argument(1, kTypeMask, SOCK_DGRAM)}},
    };
}

/// Reading at any place of a file whose descriptor is held.
Rules reading_held_files() {
    return {"pread64", "preadv", "lseek", "fadvise64", "sendfile"};
}

/// Opening and looking at files, without any way to change one.
Rules reading_files() {
    constexpr std::uint64_t kChanging = O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY);
    return reading_held_files() + Rules{
                                      {"openat", {lacks(2, kChanging)}},
                                      {"open", {lacks(1, kChanging)}},
                                      "newfstatat",
                                      "stat",
                                      "lstat",
                                      "statx",
                                      "access",
                                      "faccessat",
                                      "faccessat2",
                                      "readlink",
                                      "readlinkat",
                                      "getdents64",
                                      "statfs",
                                      "fstatfs",
                                      "getcwd",
                                      "flock",
                                      {"fcntl", {is(1, F_SETLK)}},
                                      {"fcntl", {is(1, F_SETLKW)}},
                                      {"fcntl", {is(1, F_GETLK)}},
                                  };
}

Rules noticing_changes() {
    return {"inotify_init1", "inotify_add_watch", "inotify_rm_watch"};
}

/// The user database: its modules are loaded when the first user is looked up, which needs executable memory,
/// and the C library asks the kernel for the machine's addresses over netlink.
Rules user_database() {
    return {
        "mmap",
        "mprotect",
        {"socket", {is(0, AF_NETLINK), argument(2, kIntMask, NETLINK_ROUTE)}},
    };
}

/// The spool: everything that can be done with regular files and directories, where Landlock lets it.
Rules changing_files() {
    return {
        "openat",
        "open",
        "rename",
        "renameat",
        "renameat2",
        "unlink",
        "unlinkat",
        "mkdir",
        "mkdirat",
        "rmdir",
        "link",
        "linkat",
        "fsync",
        "fdatasync",
        "syncfs",
        "sync_file_range",
        "pwrite64",
        "pwritev",
        "ftruncate",
        "fallocate",
        "fchmod",
        "fchmodat",
        "utimensat",
        "futimesat",
        "copy_file_range",
        "splice",
        "memfd_create",
        {"fcntl", {is(1, F_ADD_SEALS)}},
        {"fcntl", {is(1, F_GET_SEALS)}},
        {"fcntl", {is(1, F_OFD_SETLK)}},
        {"fcntl", {is(1, F_OFD_SETLKW)}},
    };
}

/// Memory that others are given to read: it can be written before it is sealed, and by nobody afterwards.
Rules sealed_memory() {
    return {"memfd_create", {"fcntl", {is(1, F_ADD_SEALS)}}};
}

// ---- What nobody gets who runs programs of users.

/// Calls that no mail filter needs, and that were the way in for attacks on the kernel or on other processes.
Rules dangerous() {
    return {
    // Other processes' memory and descriptors. The leak checker of sanitizer builds traces itself.
#ifndef POSTRIDER_SANITIZED
        "ptrace",
        "process_vm_readv",
#endif
        "process_vm_writev",
        "process_madvise",
        "kcmp",
        "pidfd_getfd",
        "perf_event_open",
        "userfaultfd",
        // The view of the file system.
        "mount",
        "umount2",
        "pivot_root",
        "move_mount",
        "open_tree",
        "fsopen",
        "fsconfig",
        "fsmount",
        "fspick",
        "mount_setattr",
        "chroot",
        "swapon",
        "swapoff",
        "quotactl",
        "quotactl_fd",
        "fanotify_init",
        "name_to_handle_at",
        "open_by_handle_at",
        // The machine and the kernel's own code.
        "reboot",
        "kexec_load",
        "kexec_file_load",
        "init_module",
        "finit_module",
        "delete_module",
        "bpf",
        "acct",
        "settimeofday",
        "clock_settime",
        "clock_adjtime",
        "adjtimex",
        "sethostname",
        "setdomainname",
        "syslog",
        "iopl",
        "ioperm",
        "modify_ldt",
        "vhangup",
        "lookup_dcookie",
        "nfsservctl",
        "uselib",
        // Keys of the kernel, and namespaces, in which an ordinary user is root before more of its code.
        "keyctl",
        "add_key",
        "request_key",
        "unshare",
        "setns",
        {"clone", {has(0, CLONE_NEWUSER)}},
        {"clone", {has(0, CLONE_NEWNS)}},
        {"clone", {has(0, CLONE_NEWNET)}},
        {"clone", {has(0, CLONE_NEWPID)}},
        {"clone", {has(0, CLONE_NEWIPC)}},
        {"clone", {has(0, CLONE_NEWUTS)}},
        {"clone", {has(0, CLONE_NEWCGROUP)}},
        // Words put into the input of a terminal that somebody else types at.
        {"ioctl", {is(1, TIOCSTI)}},
        {"ioctl", {is(1, TIOCLINUX)}},
    };
}

/// io_uring would do file and socket calls past the filter; clone3 hides its flags behind a pointer.
Rules past_the_filter() {
    return {"clone3", "io_uring_setup", "io_uring_enter", "io_uring_register"};
}

#ifdef POSTRIDER_SANITIZED
/// What the run time of the sanitizers does in a process: reports read /proc/self/maps, the
/// undefined-behaviour checks probe memory with a pipe, and the leak checker clones a thread that traces all
/// the others at exit.
Rules sanitizer_calls() {
    return reading_files() + Rules{
                                 {"clone", {has(0, CLONE_VM)}},
                                 "ptrace",
                                 "wait4",
                                 "process_vm_readv",
                                 "prctl",
                                 "arch_prctl",
                                 "pipe",
                                 "dup",
                                 "dup2",
                                 "mincore",
                                 "getdents",
                                 "personality",
                                 "sched_getparam",
                                 "sched_getscheduler",
                                 "sched_setaffinity",
                             };
}

/// A report forks to start a symbolizer. Refused, it shows addresses without names, which llvm-symbolizer
/// can be given later; killed, there would be no report.
Rules sanitizer_refusals() {
    return {"fork", "vfork", {"clone", {lacks(0, CLONE_VM)}}};
}
#else
Rules sanitizer_calls() {
    return {};
}
Rules sanitizer_refusals() {
    return {};
}
#endif

Filter allow_list(Rules allowed, const Rules& refused = {}) {
    return {.allow_by_default = false,
            .allowed = std::move(allowed) + sanitizer_calls(),
            .refused = refused + sanitizer_refusals(),
            .unknown = past_the_filter()};
}

Filter deny_list() {
    return {.allow_by_default = true, .allowed = {}, .refused = dangerous(), .unknown = past_the_filter()};
}

}  // namespace

Filter filter_of(Daemon daemon) {
    switch (daemon) {
        case Daemon::SmtpdListener:
            return allow_list(base() + descriptor_flags() + accepting() + connecting_locally());
        case Daemon::SmtpdWorker:
            return allow_list(base(), descriptor_flags());
        case Daemon::Router:
            return allow_list(base() + descriptor_flags() + accepting() + connecting_locally() +
                              connecting_to_network() + threads() + reading_files() + noticing_changes() +
                              user_database());
        case Daemon::QueueManager:
            return allow_list(base() + descriptor_flags() + accepting() + connecting_locally() + threads() +
                              reading_files() + noticing_changes() + changing_files() + sealed_memory());
        case Daemon::Authd:
            return allow_list(base() + descriptor_flags() + accepting() + connecting_locally() + threads() +
                              reading_files() + noticing_changes());
        case Daemon::RemoteDelivery:
            return allow_list(base() + descriptor_flags() + connecting_locally() + connecting_to_network() +
                              reading_held_files());
        case Daemon::Keyd:
            return allow_list(base() + descriptor_flags() + accepting() + reading_files() + sealed_memory());
        case Daemon::AuthHelper:
        case Daemon::LocalDelivery:
        case Daemon::LocalDeliveryChild:
            return deny_list();
        case Daemon::Supervisor:
            break;
    }
    throw ConfinementFailure("there is no filter of system calls for this process");
}

}  // namespace postrider::privsep
