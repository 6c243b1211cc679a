#include "supervisor/directories.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace postrider::supervisor {

namespace {

// Sockets are reached by name, so everyone may pass through run_dir; the sockets' own modes and the servers'
// look at the peer's credentials decide.
constexpr mode_t kRunMode = 0755;
constexpr mode_t kPrivateMode = 0700;

Result<void> prepare(const std::string& path, mode_t mode, config::UserIds owner) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) return permanent(fmt::format("{}: {}", path, error.message()));
    if (::chmod(path.c_str(), mode) != 0) return system_failure(path, errno);
    if (::geteuid() == 0 && ::chown(path.c_str(), owner.uid, owner.gid) != 0)
        return system_failure(path, errno);
    return {};
}

Result<config::UserIds> owner_of_spool(const config::Settings& settings) {
    const config::DaemonUser* user = settings.user("queue-manager");
    if (::geteuid() != 0 || user == nullptr) return config::UserIds{::geteuid(), ::getegid()};
    return config::resolve_user(user->name);
}

}  // namespace

Result<void> prepare_directories(const config::Settings& settings) {
    const config::UserIds self{::geteuid(), ::getegid()};
    auto spool_owner = owner_of_spool(settings);
    if (!spool_owner) return failure(spool_owner.error());
    auto run = prepare(settings.run_dir, kRunMode, self);
    if (!run) return run;
    auto state = prepare(settings.state_dir, kPrivateMode, self);
    if (!state) return state;
    return prepare(settings.spool_dir, kPrivateMode, *spool_owner);
}

}  // namespace postrider::supervisor
