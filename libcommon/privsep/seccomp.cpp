#include "libcommon/privsep/seccomp.h"

#include <seccomp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <memory>

#include "libcommon/privsep/failure.h"
#include "libcommon/privsep/syscall_tables.h"

#if defined(POSTRIDER_SANITIZED) || !defined(NDEBUG)
#define POSTRIDER_SECCOMP_DIAGNOSTICS 1
#include <fmt/format.h>
#endif

namespace postrider::privsep {
namespace {

using Context = std::unique_ptr<void, void (*)(scmp_filter_ctx)>;

/// libseccomp returns negated errno values.
void check(int outcome, const char* what) {
    if (outcome < 0) fail(std::string("seccomp: ") + what, -outcome);
}

#ifdef POSTRIDER_SECCOMP_DIAGNOSTICS

/// Names the call that a developer has to look for, then lets the process die as a release would. It is no
/// strictly signal-safe function, which does not matter to a process that ends here.
void name_refused_call(int /*signal*/, siginfo_t* info, void* /*context*/) {
    std::unique_ptr<char, void (*)(void*)> name(
        ::seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, info->si_syscall), std::free);
    std::array<char, 128> text{};
    auto end = fmt::format_to_n(text.data(), text.size(), "seccomp: refused system call {} ({})\n",
                                name ? name.get() : "unknown", info->si_syscall);
    static_cast<void>(::write(STDERR_FILENO, text.data(), std::min(end.size, text.size())));
    static_cast<void>(::raise(SIGSYS));  // SA_RESETHAND took the handler away.
}

std::uint32_t default_action() {
    const char* log_only = std::getenv("POSTRIDER_SECCOMP_LOG");
    if (log_only != nullptr && std::string_view(log_only) == "1") return SCMP_ACT_LOG;
    struct sigaction action {};
    action.sa_sigaction = name_refused_call;
    action.sa_flags = static_cast<int>(SA_SIGINFO | SA_RESETHAND | SA_NODEFER);
    if (::sigaction(SIGSYS, &action, nullptr) < 0) fail("sigaction", errno);
    return SCMP_ACT_TRAP;
}

#else

std::uint32_t default_action() {
    return SCMP_ACT_KILL_PROCESS;
}

#endif

/// Adds rules with one action. A call that this machine's architecture does not have needs none.
void add_rules(const Context& context, const Rules& rules, std::uint32_t action) {
    for (const Rule& rule : rules) {
        int number = ::seccomp_syscall_resolve_name(rule.call);
        if (number == __NR_SCMP_ERROR) {
            throw ConfinementFailure(std::string("seccomp: unknown system call ") + rule.call);
        }
        if (number < 0) continue;
        check(::seccomp_rule_add_array(context.get(), action, number,
                                       static_cast<unsigned>(rule.conditions.size()), rule.conditions.data()),
              rule.call);
    }
}

/// Users' programs may be 32 bit ones; to a daemon's own filter another architecture is an attack.
void add_second_architecture(const Context& context) {
    std::uint32_t second = 0;
    if (::seccomp_arch_native() == SCMP_ARCH_X86_64) second = SCMP_ARCH_X86;
    if (::seccomp_arch_native() == SCMP_ARCH_AARCH64) second = SCMP_ARCH_ARM;
    if (second != 0) check(::seccomp_arch_add(context.get(), second), "second architecture");
}

void set_attributes(const Context& context) {
    check(::seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "architecture");
    check(::seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_TSYNC, 1), "thread synchronisation");
    // A tree instead of a list of comparisons: the filter runs at every system call.
    check(::seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2), "optimisation");
}

}  // namespace

void seccomp(Daemon daemon) {
    Filter filter = filter_of(daemon);
    std::uint32_t otherwise = filter.allow_by_default ? SCMP_ACT_ALLOW : default_action();
    Context context(::seccomp_init(otherwise), ::seccomp_release);
    if (!context) fail("seccomp", ENOMEM);
    set_attributes(context);
    if (filter.allow_by_default) add_second_architecture(context);
    add_rules(context, filter.allowed, SCMP_ACT_ALLOW);
    add_rules(context, filter.refused, SCMP_ACT_ERRNO(EPERM));
    add_rules(context, filter.unknown, SCMP_ACT_ERRNO(ENOSYS));
    check(::seccomp_load(context.get()), "load");
}

}  // namespace postrider::privsep
