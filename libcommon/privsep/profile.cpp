#include "libcommon/privsep/profile.h"

#include <linux/capability.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/privsep/sanitizer.h"
#include "libcommon/privsep/seccomp.h"

namespace postrider::privsep {
namespace {

constexpr rlim_t kMebibyte = rlim_t{1} << 20;
constexpr rlim_t kGibibyte = rlim_t{1} << 30;

/// Descriptors of processes that hold one or more for each client or message under way.
constexpr rlim_t kManyDescriptors = 65536;
constexpr rlim_t kSomeDescriptors = 4096;

/// Threads of the pools, and room for a second instance during a restart.
constexpr rlim_t kThreads = 128;

constexpr Confinement kSmtpdListener{
    .root = Root::RunDirectory,
    .limits = {.descriptors = kSomeDescriptors, .processes = 0, .data_bytes = 512 * kMebibyte},
};

constexpr Confinement kSmtpdWorker{
    .root = Root::EmptyDirectory,
    .limits = {.descriptors = kManyDescriptors, .processes = 0, .data_bytes = 2 * kGibibyte},
};

constexpr Confinement kRouter{
    .limits = {.descriptors = kSomeDescriptors, .processes = kThreads, .data_bytes = 8 * kGibibyte},
    .files = FileAccess::ReadTables,
    .tcp = TcpAccess::Connect,
};

constexpr Confinement kQueueManager{
    .limits = {.descriptors = kManyDescriptors, .processes = kThreads, .data_bytes = 8 * kGibibyte},
    .files = FileAccess::Spool,
};

/// Limits, Landlock and the filter pass on to users' programs and cannot be taken back there, so that this
/// process has only those that its children can live with. What keeps it small is its code and its
/// capabilities: to become a user, and to end a child. It has none to pass over file permissions.
constexpr Confinement kLocalDelivery{
    .changes_user = false,
    .keeps_capabilities = capability_bit(CAP_SETUID) | capability_bit(CAP_SETGID) | capability_bit(CAP_KILL),
    .limits = {.descriptors = kSomeDescriptors},
    .files = FileAccess::Unlimited,
    .tcp = TcpAccess::Any,
    .scoped = false,
};

/// Programs may use the network and the desktop's sockets, as they may from the user's shell. A setuid
/// program runs without its extra rights, because no_new_privs stays: mail must not be a way to them.
constexpr Confinement kLocalDeliveryChild{
    .files = FileAccess::UserFiles,
    .tcp = TcpAccess::Any,
    .scoped = false,
};

/// crypt(3) takes 16 MiB and more for a check, in one thread of each processor.
constexpr Confinement kAuthd{
    .limits = {.descriptors = kSomeDescriptors, .processes = kThreads, .data_bytes = 8 * kGibibyte},
    .files = FileAccess::Readable,
};

/// What the PAM modules of the world need cannot be foreseen: they read /etc/shadow, write their counts of
/// failures, ask servers, become the user. So this process keeps what such modules use and its only task is
/// to run them; whoever speaks to it has the rights of kAuthd. The bits of a capability that nobody needs to
/// check a password (mounting, tracing, modules of the kernel, the network's settings) are gone.
constexpr Confinement kAuthHelper{
    .changes_user = false,
    .keeps_capabilities = capability_bit(CAP_SETUID) | capability_bit(CAP_SETGID) | capability_bit(CAP_KILL) |
                          capability_bit(CAP_DAC_READ_SEARCH) | capability_bit(CAP_DAC_OVERRIDE) |
                          capability_bit(CAP_CHOWN) | capability_bit(CAP_FOWNER) |
                          capability_bit(CAP_AUDIT_WRITE),
    .limits = {.descriptors = kSomeDescriptors},
    .files = FileAccess::Unlimited,
    .tcp = TcpAccess::Any,
    .scoped = false,
};

constexpr Confinement kRemoteDelivery{
    .root = Root::RunDirectory,
    .limits = {.descriptors = 4 * kSomeDescriptors, .processes = 0, .data_bytes = 2 * kGibibyte},
    .tcp = TcpAccess::Connect,
};

/// It stays root because the files it reads again when they change may be anybody's, below folders that are
/// closed to others: Landlock leaves it those folders, this capability the way to them, and seccomp no way to
/// write or to reach anything else.
constexpr Confinement kKeyd{
    .changes_user = false,
    .keeps_capabilities = capability_bit(CAP_DAC_READ_SEARCH),
    .limits = {.descriptors = kSomeDescriptors, .processes = 0, .data_bytes = 512 * kMebibyte},
    .files = FileAccess::Readable,
};

/// Every daemon's rights come from here, so that there is nothing to take away but core files and tracing.
constexpr Confinement kSupervisor{
    .changes_user = false,
    .keeps_capabilities = ~CapabilityMask{0},
    .no_new_privileges = false,
    .files = FileAccess::Unlimited,
    .tcp = TcpAccess::Any,
    .scoped = false,
    .seccomp = false,
};

/// What looking up a user or a time zone reads, on the systems of today.
std::vector<PathRule> system_files() {
    return {{"/etc", PathAccess::Read},         {"/usr", PathAccess::Read},
            {"/lib", PathAccess::Read},         {"/lib64", PathAccess::Read},
            {"/run/nscd", PathAccess::Read},    {"/var/lib/extrausers", PathAccess::Read},
            {"/run/systemd", PathAccess::Read}, {"/run/dbus", PathAccess::Read},
            {"/var/lib/sss", PathAccess::Read}, {"/run/resolvconf", PathAccess::Read},
            {"/dev/urandom", PathAccess::Read}, {"/proc/sys/kernel", PathAccess::Read}};
}

void add(std::vector<PathRule>& rules, const std::vector<std::string>& paths, PathAccess access) {
    for (const std::string& path : paths)
        rules.push_back({path, access});
}

LandlockRules landlock_rules(const Confinement& rights, const Paths& paths) {
    LandlockRules rules;
    rules.tcp = rights.tcp;
    rules.scope_signals = rights.scoped;
    rules.scope_abstract_sockets = rights.scoped;
    switch (rights.files) {
        case FileAccess::None:
            break;
        case FileAccess::Readable:
            add(rules.paths, paths.readable, PathAccess::Read);
            break;
        case FileAccess::ReadTables:
            rules.paths = system_files();
            add(rules.paths, {paths.run_directory}, PathAccess::Read);
            add(rules.paths, paths.readable, PathAccess::Read);
            break;
        case FileAccess::Spool:
            add(rules.paths, {paths.run_directory, "/etc/localtime", "/usr/share/zoneinfo"},
                PathAccess::Read);
            add(rules.paths, paths.readable, PathAccess::Read);
            add(rules.paths, {paths.spool_directory}, PathAccess::ReadWrite);
            break;
        case FileAccess::UserFiles:
            rules.restrict_files = !paths.writable.empty();
            add(rules.paths, {"/"}, PathAccess::ReadExecute);
            add(rules.paths, {"/dev"}, PathAccess::ReadWrite);
            add(rules.paths, paths.writable, PathAccess::ReadWrite);
            break;
        case FileAccess::Unlimited:
            rules.restrict_files = false;
            break;
    }
    add(rules.paths, sanitizer_files(), PathAccess::Read);
    return rules;
}

/// A thread that is there already would keep its Landlock domain and no_new_privs bit to itself.
void require_single_thread() {
    struct stat tasks {};
    constexpr nlink_t kLinksOfOneThread = 3;            // ".", "..", and the thread's own directory.
    if (::stat("/proc/self/task", &tasks) < 0) return;  // Without /proc the caller's word has to do.
    if (tasks.st_nlink != kLinksOfOneThread) {
        throw ConfinementFailure("threads were started before the process confined itself");
    }
}

void change_root(Root root, const Paths& paths) {
    if (root == Root::Unchanged) return;
    if (root == Root::RunDirectory) {
        chroot_to(paths.run_directory);
    } else {
        std::string path =
            paths.empty_directory.empty() ? paths.run_directory + "/empty" : paths.empty_directory;
        prepare_empty_directory(path);
        chroot_to(path);
    }
    lose_leak_check();
}

/// The steps that only root can take and only root needs.
void leave_root(const Confinement& rights, const Identity& identity, const Paths& paths) {
    change_root(rights.root, paths);
    drop_bounding_set(rights.keeps_capabilities);
    if (rights.changes_user) drop_user(identity.uid, identity.gid, identity.groups);
}

}  // namespace

std::string_view daemon_name(Daemon daemon) {
    switch (daemon) {
        case Daemon::SmtpdListener:
            return "smtpd-listener";
        case Daemon::SmtpdWorker:
            return "smtpd-worker";
        case Daemon::Router:
            return "router";
        case Daemon::QueueManager:
            return "queue-manager";
        case Daemon::LocalDelivery:
            return "local-delivery";
        case Daemon::LocalDeliveryChild:
            return "local-delivery-child";
        case Daemon::Authd:
            return "authd";
        case Daemon::AuthHelper:
            return "auth-helper";
        case Daemon::RemoteDelivery:
            return "remote-delivery";
        case Daemon::Keyd:
            return "keyd";
        case Daemon::Supervisor:
            return "postriderd";
    }
    return "unknown";
}

const Confinement& confinement_of(Daemon daemon) {
    switch (daemon) {
        case Daemon::SmtpdListener:
            return kSmtpdListener;
        case Daemon::SmtpdWorker:
            return kSmtpdWorker;
        case Daemon::Router:
            return kRouter;
        case Daemon::QueueManager:
            return kQueueManager;
        case Daemon::LocalDelivery:
            return kLocalDelivery;
        case Daemon::LocalDeliveryChild:
            return kLocalDeliveryChild;
        case Daemon::Authd:
            return kAuthd;
        case Daemon::AuthHelper:
            return kAuthHelper;
        case Daemon::RemoteDelivery:
            return kRemoteDelivery;
        case Daemon::Keyd:
            return kKeyd;
        case Daemon::Supervisor:
            return kSupervisor;
    }
    throw ConfinementFailure("unknown daemon");
}

void confine(Daemon daemon, const Identity& identity, const Paths& paths) {
    const Confinement& rights = confinement_of(daemon);
    require_single_thread();
    if (!paths.run_directory.empty()) enter_directory(paths.run_directory);
    bool dedicated_user = ::geteuid() == 0;
    if (dedicated_user) {
        leave_root(rights, identity, paths);
    } else if (daemon == Daemon::LocalDeliveryChild && identity.uid != ::geteuid()) {
        throw ConfinementFailure("only root can deliver as another user");
    }
    if (rights.keeps_capabilities != ~CapabilityMask{0}) drop_capabilities(rights.keeps_capabilities);
    if (rights.no_new_privileges) no_new_privileges();
    not_dumpable();
    ResourceLimits limits = rights.limits;
    // RLIMIT_NPROC counts everything the user runs: beyond 0 it means something for a daemon's own user only.
    if (!dedicated_user && limits.processes.value_or(0) != 0) limits.processes.reset();
    set_resource_limits(limits);
    if (rights.no_new_privileges) landlock(landlock_rules(rights, paths));
    if (rights.seccomp) seccomp(daemon);
}

}  // namespace postrider::privsep
