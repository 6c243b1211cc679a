#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <limits>
#include <vector>

#include "libcommon/config/settings.h"

namespace postrider::config {

namespace {

/// The largest uid means "no change" to setresuid(), which would leave a daemon root.
constexpr uid_t kNoId = std::numeric_limits<uid_t>::max();

Result<UserIds> numeric_user(const std::string& name) {
    uid_t id = 0;
    auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), id);
    if (error != std::errc() || stop != name.data() + name.size() || id == kNoId) {
        return permanent(fmt::format("\"{}\" is not a user id", name));
    }
    return UserIds{id, id};
}

}  // namespace

Result<UserIds> resolve_user(const std::string& name) {
    if (name.empty()) return permanent("a user without a name");
    if (name.front() >= '0' && name.front() <= '9') return numeric_user(name);
    constexpr std::size_t kFirstTry = 1024;
    constexpr std::size_t kLargest = std::size_t{1024} * 1024;
    for (std::vector<char> buffer(kFirstTry); buffer.size() <= kLargest; buffer.resize(buffer.size() * 2)) {
        passwd entry{};
        passwd* found = nullptr;
        int error = ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
        if (error == ERANGE) continue;
        if (found != nullptr) return UserIds{entry.pw_uid, entry.pw_gid};
        // getpwnam(3): these mean that the name does not exist, everything else that nobody could tell.
        bool unknown = error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
        if (!unknown) return system_failure(fmt::format("user \"{}\"", name), error);
        return permanent(fmt::format("there is no user \"{}\"", name));
    }
    return temporary(fmt::format("user \"{}\": its entry is too large", name));
}

Result<gid_t> resolve_group(const std::string& name) {
    if (name.empty()) return permanent("a group without a name");
    if (name.front() >= '0' && name.front() <= '9') {
        auto number = numeric_user(name);
        if (!number) return permanent(fmt::format("\"{}\" is not a group id", name));
        return number->gid;
    }
    constexpr std::size_t kFirstTry = 1024;
    constexpr std::size_t kLargest = std::size_t{1024} * 1024;
    for (std::vector<char> buffer(kFirstTry); buffer.size() <= kLargest; buffer.resize(buffer.size() * 2)) {
        group entry{};
        group* found = nullptr;
        const int error = ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
        if (error == ERANGE) continue;
        if (found != nullptr) return entry.gr_gid;
        return permanent(fmt::format("there is no group \"{}\"", name));
    }
    return temporary(fmt::format("group \"{}\": its entry is too large", name));
}

}  // namespace postrider::config
