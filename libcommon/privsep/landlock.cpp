#include "libcommon/privsep/landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "libcommon/base/fd.h"
#include "libcommon/log/log.h"
#include "libcommon/privsep/failure.h"

namespace postrider::privsep {
namespace {

// Rights that came after the header of Debian 12 (ABI 2), by their number in the kernel's ABI.
constexpr std::uint64_t kTruncate = 1U << 14;             // ABI 3
constexpr std::uint64_t kIoctlDevice = 1U << 15;          // ABI 5
constexpr std::uint64_t kBindTcp = 1U << 0;               // ABI 4
constexpr std::uint64_t kConnectTcp = 1U << 1;            // ABI 4
constexpr std::uint64_t kScopeAbstractSockets = 1U << 0;  // ABI 6
constexpr std::uint64_t kScopeSignals = 1U << 1;          // ABI 6
constexpr int kRuleNetPort = 2;                           // ABI 4

/// struct landlock_ruleset_attr as of ABI 6. Older kernels accept the longer form while what they do not know
/// is zero.
struct RulesetAttributes {
    std::uint64_t files = 0;
    std::uint64_t net = 0;
    std::uint64_t scopes = 0;
};

/// struct landlock_net_port_attr.
struct PortRule {
    std::uint64_t access = 0;
    std::uint64_t port = 0;
};

constexpr std::uint64_t kRead = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kExecute = LANDLOCK_ACCESS_FS_EXECUTE;
constexpr std::uint64_t kMakeDevice = LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK;
constexpr std::uint64_t kWrite =
    LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
    LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
    LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER | kTruncate;
/// Rights that a rule for a single file may carry; the others mean nothing without a directory.
constexpr std::uint64_t kFileRights =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | kTruncate;

/// Every file right that an ABI knows; what is not handled is not restricted.
std::uint64_t file_rights_of(int abi) {
    std::uint64_t rights = kRead | kExecute | kMakeDevice | kWrite;
    if (abi >= 5) rights |= kIoctlDevice;
    if (abi < 3) rights &= ~kTruncate;
    if (abi < 2) rights &= ~static_cast<std::uint64_t>(LANDLOCK_ACCESS_FS_REFER);
    return rights;
}

std::uint64_t rights_of(PathAccess access) {
    switch (access) {
        case PathAccess::Read:
            return kRead;
        case PathAccess::ReadExecute:
            return kRead | kExecute;
        case PathAccess::ReadWrite:
            return kRead | kWrite;
    }
    return 0;
}

RulesetAttributes handled_by(const LandlockRules& rules, int abi) {
    RulesetAttributes handled;
    if (rules.restrict_files) handled.files = file_rights_of(abi);
    if (abi >= 4 && rules.tcp != TcpAccess::Any) {
        handled.net = rules.tcp == TcpAccess::None ? kBindTcp | kConnectTcp : kBindTcp;
    }
    if (abi >= 6 && rules.scope_signals) handled.scopes |= kScopeSignals;
    if (abi >= 6 && rules.scope_abstract_sockets) handled.scopes |= kScopeAbstractSockets;
    return handled;
}

bool writes_something(const LandlockRules& rules) {
    for (const PathRule& rule : rules.paths) {
        if (rule.access == PathAccess::ReadWrite) return true;
    }
    return false;
}

void add_path(const Fd& ruleset, const PathRule& rule, std::uint64_t handled) {
    Fd path(::open(rule.path.c_str(), O_PATH | O_CLOEXEC));
    if (!path) {
        // Many of the paths are there on some systems only. Without a rule the path stays closed.
        log::debug("landlock_path_skipped").add("path", rule.path).add("errno", errno);
        return;
    }
    struct stat status {};
    if (::fstat(path.get(), &status) < 0) fail(rule.path, errno);
    landlock_path_beneath_attr attributes{};
    attributes.allowed_access = rights_of(rule.access) & handled;
    if (!S_ISDIR(status.st_mode)) attributes.allowed_access &= kFileRights;
    attributes.parent_fd = path.get();
    if (::syscall(SYS_landlock_add_rule, ruleset.get(), LANDLOCK_RULE_PATH_BENEATH, &attributes, 0) < 0) {
        fail("landlock rule for " + rule.path, errno);
    }
}

/// Port 0 lets the kernel choose: a source address may be bound, no service can be opened.
void add_port_zero(const Fd& ruleset) {
    PortRule attributes{.access = kBindTcp, .port = 0};
    if (::syscall(SYS_landlock_add_rule, ruleset.get(), kRuleNetPort, &attributes, 0) < 0) {
        fail("landlock rule for a port", errno);
    }
}

/// The kernel's ABI as far as it can carry the rules; 0 with a log line where it cannot.
int usable_abi(const LandlockRules& rules) {
    int abi = landlock_abi();
    if (abi <= 0) {
        log::warning("landlock_unavailable").add("reason", "the kernel has no Landlock");
        return 0;
    }
    // ABI 1 refuses every rename and link between directories, which is how mail is committed.
    if (abi < 2 && rules.restrict_files && writes_something(rules)) {
        log::warning("landlock_unavailable").add("reason", "the kernel's Landlock cannot rename");
        return 0;
    }
    return abi;
}

}  // namespace

int landlock_abi() {
    auto abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return abi < 0 ? 0 : static_cast<int>(abi);
}

void landlock(const LandlockRules& rules) {
    int abi = usable_abi(rules);
    if (abi == 0) return;
    RulesetAttributes handled = handled_by(rules, abi);
    if (handled.files == 0 && handled.net == 0 && handled.scopes == 0) return;
    Fd ruleset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0)));
    if (!ruleset) fail("landlock ruleset", errno);
    if (handled.files != 0) {
        for (const PathRule& rule : rules.paths)
            add_path(ruleset, rule, handled.files);
    }
    if ((handled.net & kBindTcp) != 0 && rules.tcp == TcpAccess::Connect) add_port_zero(ruleset);
    if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) < 0) fail("landlock restriction", errno);
}

}  // namespace postrider::privsep
