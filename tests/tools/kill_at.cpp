// kill_at: ends a daemon at the entry of its n-th file-system call below a directory, or lets that call fail.
//
//   kill_at --pid PID --under DIRECTORY --at N                  kill with SIGKILL instead of the N-th call
//   kill_at --pid PID --under DIRECTORY --at N --error ENOSPC   let the N-th call fail; with --last M all up
//   to
//                                                               the M-th
//   kill_at … --reads                                           count opening and reading, too
//
// It attaches to all threads of a process that runs already, says "ready", and counts from then on, whatever
// thread makes the call. A call counts when one of its descriptors is a file or folder below DIRECTORY. Each
// one is written to standard output as "NUMBER CALL PATH". It ends when the process was killed, or when
// SIGTERM tells it to let the process go on by itself; its last line is "killed" or "let go".
//
// A call that is to be killed is never begun: the kernel drops it when it sees the signal. One that is to
// fail is replaced by close(-1), which every sandbox allows and which does nothing, and its result by the
// error.

#include <fcntl.h>
#include <fmt/format.h>
#include <getopt.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace {

/// A call that counts: where its arguments have a descriptor, and where a path.
struct Call {
    std::string_view name;
    int descriptor = 0;
    int path = -1;  ///< of the last component; -1: the call has none
    bool reads = false;
};

const std::map<long, Call>& calls() {
    static const std::map<long, Call> table = {
        {SYS_openat, {"openat", 0, 1, true}},  // counted without --reads only if it may create
        {SYS_write, {"write"}},
        {SYS_pwrite64, {"pwrite"}},
        {SYS_pwritev, {"pwritev"}},
        {SYS_renameat, {"renameat", 0, 3}},
        {SYS_renameat2, {"renameat2", 0, 3}},
        {SYS_linkat, {"linkat", 0, 3}},
        {SYS_unlinkat, {"unlinkat", 0, 1}},
        {SYS_mkdirat, {"mkdirat", 0, 1}},
        {SYS_fsync, {"fsync"}},
        {SYS_fdatasync, {"fdatasync"}},
        {SYS_ftruncate, {"ftruncate"}},
        {SYS_fallocate, {"fallocate"}},
        {SYS_utimensat, {"utimensat"}},
        {SYS_read, {"read", 0, -1, true}},
        {SYS_pread64, {"pread", 0, -1, true}},
        {SYS_fstat, {"fstat", 0, -1, true}},
        {SYS_newfstatat, {"fstatat", 0, 1, true}},
        {SYS_getdents64, {"getdents", 0, -1, true}},
    };
    return table;
}

struct Options {
    pid_t pid = 0;
    std::string under;
    unsigned long at = 0;
    unsigned long last = 0;
    int error = 0;
    bool reads = false;
};

[[noreturn]] void fail(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

class Tracer {
  public:
    explicit Tracer(Options options) : options_(std::move(options)) {
        sigemptyset(&signals_);
        sigaddset(&signals_, SIGCHLD);
        sigaddset(&signals_, SIGTERM);
        sigprocmask(SIG_BLOCK, &signals_, nullptr);
    }

    /// Attaches to every thread there is. New ones come by themselves.
    void attach() {
        const std::string tasks = fmt::format("/proc/{}/task", options_.pid);
        // A thread that begins while the list is read may be missed, so it is read until nothing is new.
        for (bool grown = true; grown;) {
            grown = false;
            for (const auto& entry : std::filesystem::directory_iterator(tasks)) {
                const pid_t thread = std::stoi(entry.path().filename());
                if (threads_.count(thread) > 0) continue;
                if (::ptrace(PTRACE_SEIZE, thread, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE) != 0)
                    fail("attach");
                if (::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) != 0) fail("interrupt");
                threads_[thread];
                grown = true;
            }
        }
    }

    /// Until the process has ended or is let go.
    void run() {
        while (true) {
            take_stops();
            if (threads_.empty()) {
                fmt::print("{}\n", killed_ ? "killed" : leaving_ ? "let go" : "ended");
                return;
            }
            if (!ready_ && all_seen()) {
                ready_ = true;
                fmt::print("ready\n");
                std::fflush(stdout);
            }
            siginfo_t info{};
            if (::sigwaitinfo(&signals_, &info) == SIGTERM) leave();
        }
    }

  private:
    struct Thread {
        bool seen = false;                         ///< it stopped for us and was sent on
        std::optional<user_regs_struct> replaced;  ///< as they were before its call was replaced
    };

    bool all_seen() const {
        for (const auto& [id, thread] : threads_) {
            if (!thread.seen) return false;
        }
        return true;
    }

    void take_stops() {
        int status = 0;
        pid_t id = 0;
        while ((id = ::waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
            if (!WIFSTOPPED(status)) {
                threads_.erase(id);
                continue;
            }
            on_stop(id, status);
        }
        if (id < 0 && errno == ECHILD) threads_.clear();
    }

    void on_stop(pid_t id, int status) {
        Thread& thread = threads_[id];
        thread.seen = true;
        const int signal = WSTOPSIG(status);
        int pass_on = 0;
        if (signal == (SIGTRAP | 0x80)) {
            on_call(id, thread);
        } else if (status >> 16 == 0) {
            pass_on = signal;
        }
        if (killed_) return;
        if (leaving_ && !thread.replaced) {
            ::ptrace(PTRACE_DETACH, id, nullptr, pass_on);
            threads_.erase(id);
            return;
        }
        ::ptrace(PTRACE_SYSCALL, id, nullptr, pass_on);
    }

    void on_call(pid_t id, Thread& thread) {
        __ptrace_syscall_info info{};
        if (::ptrace(PTRACE_GET_SYSCALL_INFO, id, sizeof(info), &info) <= 0) return;
        if (info.op == PTRACE_SYSCALL_INFO_EXIT && thread.replaced) return finish_replaced(id, thread);
        if (info.op != PTRACE_SYSCALL_INFO_ENTRY || !ready_ || leaving_ || killed_) return;
        const auto call = calls().find(static_cast<long>(info.entry.nr));
        if (call == calls().end() || !counts(call->first, call->second, info.entry.args)) return;
        const std::string folder =
            descriptor_path(static_cast<int>(info.entry.args[call->second.descriptor]));
        if (!is_below(folder)) return;
        ++number_;
        fmt::print("{} {} {}{}\n", number_, call->second.name, folder,
                   call->second.path < 0 ? "" : "/" + text_at(info.entry.args[call->second.path]));
        std::fflush(stdout);
        if (options_.error == 0 && number_ == options_.at) {
            killed_ = true;
            ::kill(options_.pid, SIGKILL);
        }
        const bool fails =
            options_.error != 0 && number_ >= options_.at && number_ <= std::max(options_.at, options_.last);
        if (fails) replace(id, thread);
    }

    bool counts(long number, const Call& call, const __uint64_t* arguments) const {
        if (!call.reads || options_.reads) return true;
        constexpr int kFlagsAt = 2;
        return number == SYS_openat && (arguments[kFlagsAt] & O_CREAT) != 0;
    }

    bool is_below(const std::string& path) const {
        return path == options_.under || path.rfind(options_.under + "/", 0) == 0;
    }

    std::string descriptor_path(int descriptor) const {
        std::array<char, PATH_MAX> target{};
        const std::string link = fmt::format("/proc/{}/fd/{}", options_.pid, descriptor);
        const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
        return length <= 0 ? std::string() : std::string(target.data(), static_cast<std::size_t>(length));
    }

    std::string text_at(__uint64_t address) const {
        std::array<char, 64> text{};  // a name in the spool has 16 characters
        iovec ours{text.data(), text.size() - 1};
        iovec theirs{reinterpret_cast<void*>(address), text.size() - 1};  // NOLINT: an address over there
        if (::process_vm_readv(options_.pid, &ours, 1, &theirs, 1, 0) <= 0) return "?";
        return text.data();
    }

    void replace(pid_t id, Thread& thread) {
        user_regs_struct registers{};
        if (::ptrace(PTRACE_GETREGS, id, nullptr, &registers) != 0) fail("read registers");
        thread.replaced = registers;
        registers.orig_rax = SYS_close;
        registers.rdi = static_cast<unsigned long long>(-1);
        if (::ptrace(PTRACE_SETREGS, id, nullptr, &registers) != 0) fail("write registers");
    }

    void finish_replaced(pid_t id, Thread& thread) {
        user_regs_struct registers{};
        if (::ptrace(PTRACE_GETREGS, id, nullptr, &registers) != 0) fail("read registers");
        registers.rdi = thread.replaced->rdi;
        registers.rax = static_cast<unsigned long long>(-static_cast<long long>(options_.error));
        if (::ptrace(PTRACE_SETREGS, id, nullptr, &registers) != 0) fail("write registers");
        thread.replaced.reset();
    }

    void leave() {
        leaving_ = true;
        for (const auto& [id, thread] : threads_)
            ::ptrace(PTRACE_INTERRUPT, id, nullptr, nullptr);
    }

    Options options_;
    sigset_t signals_{};
    std::map<pid_t, Thread> threads_;
    unsigned long number_ = 0;
    bool ready_ = false;
    bool killed_ = false;
    bool leaving_ = false;
};

int error_of(const std::string& name) {
    static const std::map<std::string, int> known = {
        {"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EROFS", EROFS}, {"EDQUOT", EDQUOT}, {"EMFILE", EMFILE}};
    const auto found = known.find(name);
    if (found == known.end()) throw std::runtime_error("unknown error " + name);
    return found->second;
}

Options read_options(int argc, char** argv) {
    const option names[] = {{"pid", required_argument, nullptr, 'p'},
                            {"under", required_argument, nullptr, 'u'},
                            {"at", required_argument, nullptr, 'a'},
                            {"last", required_argument, nullptr, 'l'},
                            {"error", required_argument, nullptr, 'e'},
                            {"reads", no_argument, nullptr, 'r'},
                            {nullptr, 0, nullptr, 0}};
    Options options;
    for (int name = 0; (name = ::getopt_long(argc, argv, "", names, nullptr)) != -1;) {
        switch (name) {
            case 'p':
                options.pid = std::stoi(optarg);
                break;
            case 'u':
                options.under = std::filesystem::canonical(optarg);
                break;
            case 'a':
                options.at = std::stoul(optarg);
                break;
            case 'l':
                options.last = std::stoul(optarg);
                break;
            case 'e':
                options.error = error_of(optarg);
                break;
            case 'r':
                options.reads = true;
                break;
            default:
                throw std::runtime_error("wrong option");
        }
    }
    if (options.pid <= 0 || options.under.empty()) throw std::runtime_error("--pid and --under are needed");
    return options;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        Tracer tracer(read_options(argc, argv));
        tracer.attach();
        tracer.run();
        return 0;
    } catch (const std::exception& error) {
        fmt::print(stderr, "kill_at: {}\n", error.what());
        return 1;
    }
}
