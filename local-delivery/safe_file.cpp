#include "local-delivery/safe_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>

#include "libcommon/base/fd.h"
#include "libcommon/base/file.h"

namespace postrider::local_delivery {

namespace {

using Text = Result<std::optional<std::string>>;

bool written_by_owner_alone(const struct stat& status) {
    const bool trusted = status.st_uid == ::geteuid() || status.st_uid == 0;
    return trusted && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

std::string folder_of_path(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == 0 ? "/" : path.substr(0, slash);
}

bool means_absent(int reason) {
    return reason == ENOENT || reason == ENOTDIR;
}

/// Why the open file must not be believed; nothing if it may.
std::optional<std::string> fault_of(const struct stat& status, std::size_t limit) {
    if (!S_ISREG(status.st_mode)) return "is not a regular file";
    if (!written_by_owner_alone(status)) return "can be written by others than its user";
    if (status.st_nlink != 1) return "has more than one name";
    if (static_cast<std::size_t>(status.st_size) > limit) return "is too large";
    return std::nullopt;
}

bool same_content(const struct stat& before, const struct stat& after) {
    return before.st_size == after.st_size && before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
           before.st_mtim.tv_nsec == after.st_mtim.tv_nsec && before.st_nlink == after.st_nlink;
}

Text read_in_folder(const std::string& path, std::size_t limit, bool may_be_link) {
    const std::string folder_path = folder_of_path(path);
    const std::string name = path.substr(path.rfind('/') + 1);
    const Fd folder(::open(folder_path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder && means_absent(errno)) return std::nullopt;
    if (!folder) return system_failure(folder_path, errno);
    // Without O_NONBLOCK a FIFO would hold the process until somebody writes to it.
    const Fd file(
        ::openat(folder.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!file && means_absent(errno)) return std::nullopt;
    if (!file && errno == ELOOP && may_be_link) {
        const std::unique_ptr<char, decltype(&::free)> target(::realpath(path.c_str(), nullptr), ::free);
        if (!target && means_absent(errno)) return temporary(fmt::format("{} leads nowhere", path));
        if (!target) return system_failure(path, errno);
        return read_in_folder(target.get(), limit, false);
    }
    if (!file) return system_failure(path, errno);
    struct stat status {};
    if (::fstat(folder.get(), &status) != 0) return system_failure(folder_path, errno);
    if (!written_by_owner_alone(status)) {
        return temporary(fmt::format("{}: its folder can be written by others than its user", path));
    }
    if (::fstat(file.get(), &status) != 0) return system_failure(path, errno);
    if (const auto fault = fault_of(status, limit)) return temporary(fmt::format("{} {}", path, *fault));
    auto text = read_at(file, limit + 1, 0);
    if (!text) return failure(std::move(text).error());
    struct stat afterwards {};
    if (::fstat(file.get(), &afterwards) != 0) return system_failure(path, errno);
    if (text->size() > limit || !same_content(status, afterwards)) {
        return temporary(fmt::format("{} is being written", path));
    }
    return std::optional<std::string>(std::move(*text));
}

}  // namespace

Text read_safely(const std::string& path, std::size_t limit) {
    if (!path.starts_with('/')) return temporary(fmt::format("{} is no absolute path", path));
    return read_in_folder(path, limit, true);
}

bool is_being_edited(const std::string& folder) {
    struct stat status {};
    return ::stat(folder.c_str(), &status) == 0 && (status.st_mode & S_ISVTX) != 0 &&
           status.st_uid == ::geteuid();
}

}  // namespace postrider::local_delivery
