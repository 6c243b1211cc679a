#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "libcommon/privsep/landlock.h"
#include "libcommon/privsep/steps.h"

/// What each process of the suite may still do once it runs (design: the sandbox). The table is in
/// profile.cpp, the system calls are in syscall_tables.cpp; together they are the whole statement of a
/// process's rights towards the kernel.
namespace postrider::privsep {

enum class Daemon {
    SmtpdListener,       ///< Accepts connections and hands them on. Sees run_dir, as its root.
    SmtpdWorker,         ///< Speaks with the internet. Opens, connects and starts nothing.
    Router,              ///< Reads tables and user databases, asks the DNS. Writes nothing.
    QueueManager,        ///< Reads and writes the spool. No network.
    LocalDelivery,       ///< Root without most capabilities; starts a child per recipient user.
    LocalDeliveryChild,  ///< The recipient user's rights and no more; may start programs.
    RemoteDelivery,      ///< Connects to DNS and mail servers. Opens no file.
    Keyd,        ///< Reads certificates and private keys. Root, but for reading powerless; no network.
    Supervisor,  ///< Root; starts and ends the daemons. Only limits apply.
};

/// The name as it stands in log lines: "smtpd-worker".
[[nodiscard]] std::string_view daemon_name(Daemon daemon);

/// Who the process becomes. Ignored (but for a child of local-delivery, which is refused) where the process
/// was started by an ordinary user, and for LocalDelivery, Keyd and Supervisor, which stay root.
struct Identity {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;  ///< Supplementary groups; only a recipient user has any.
};

/// Where the process works. All paths are absolute.
struct Paths {
    std::string run_directory;    ///< Working directory of every daemon; root of those that chroot to it.
    std::string empty_directory;  ///< Root of session workers; made if missing. Default run_directory/empty.
    std::string spool_directory;  ///< QueueManager: read and written.
    std::vector<std::string>
        readable;  ///< Router, QueueManager, Keyd: files and directories of tables, settings, certificates.
    std::vector<std::string> writable;  ///< LocalDeliveryChild: home, mailbox, /tmp ...; if empty, anywhere
                                        ///< the user's own rights allow.
};

/// Which directory becomes the root directory.
enum class Root { Unchanged, RunDirectory, EmptyDirectory };

/// Which file rights Landlock leaves.
enum class FileAccess {
    None,        ///< Nothing can be opened, not even within the new root.
    ReadTables,  ///< System files that user databases need, and Paths::readable.
    Listed,      ///< Paths::readable, and nothing else.
    Spool,       ///< Paths::spool_directory to write, Paths::readable to read.
    UserFiles,   ///< Everything to read and execute; Paths::writable to write.
    Unlimited,   ///< Landlock is not used.
};

/// The rights of one daemon.
struct Confinement {
    Root root = Root::Unchanged;
    bool changes_user = true;
    CapabilityMask keeps_capabilities = 0;
    bool no_new_privileges = true;
    ResourceLimits limits;
    FileAccess files = FileAccess::None;
    TcpAccess tcp = TcpAccess::None;
    bool scoped = true;   ///< Signals and abstract sockets reach only processes that it started.
    bool seccomp = true;  ///< Has a filter in syscall_tables.cpp.
};

/// The table's row of a daemon.
[[nodiscard]] const Confinement& confinement_of(Daemon daemon);

/// Takes every step that the daemon's row asks for, in the design's order: working directory, chroot,
/// bounding set, user, capabilities, no_new_privs, dumpable, limits, Landlock, seccomp. Afterwards the
/// process is what its row says.
///
/// Called once, after everything was opened that the process needs (sockets bound, settings, keys and
/// certificates read, log::init), before the first thread: a process with more than one thread is refused.
/// Started as an ordinary user, chroot and change of user are left out and everything else applies.
/// Throws ConfinementFailure; the process must then end.
void confine(Daemon daemon, const Identity& identity, const Paths& paths);

}  // namespace postrider::privsep
