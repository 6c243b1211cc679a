#include "admin/replace_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "libcommon/base/file.h"

namespace postrider::admin {

namespace {

constexpr mode_t kPrivate = 0600;
constexpr mode_t kModeBits = 07777;

std::string folder_of(const std::string& path) {
    return std::filesystem::path(path).parent_path().string();
}

bool is_same(const struct stat& a, const struct stat& b) {
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
           a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

/// Writes the new file beside the old one; until the rename nobody looks at it.
Result<void> write_staged(const Fd& file, std::string_view text, const struct stat& like) {
    if (auto written = write_all(file, text); !written) return written;
    struct stat made {};
    if (::fstat(file.get(), &made) != 0) return system_failure("the new file", errno);
    const bool other_owner = made.st_uid != like.st_uid || made.st_gid != like.st_gid;
    if (other_owner && ::fchown(file.get(), like.st_uid, like.st_gid) != 0) {
        return system_failure("its owner cannot be kept", errno);
    }
    // After the owner, because a change of that takes mode bits away.
    if (::fchmod(file.get(), like.st_mode & kModeBits) != 0) return system_failure("its mode", errno);
    // Before the rename: a power cut must leave the old text or the new one, never an empty file.
    if (::fsync(file.get()) != 0) return system_failure("fsync", errno);
    return {};
}

}  // namespace

Result<EditLock> EditLock::take(const std::string& path) {
    const std::string folder = folder_of(path);
    Fd opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!opened) return system_failure(folder, errno);
    // flock goes with the descriptor, so that a process that dies leaves no lock behind.
    if (::flock(opened.get(), LOCK_EX) != 0) return system_failure(folder, errno);
    return EditLock(std::move(opened));
}

Result<EditedFile> EditedFile::read(const std::string& path, std::size_t limit) {
    std::error_code error;
    std::string real = std::filesystem::canonical(path, error).string();
    if (error) return temporary(fmt::format("{}: {}", path, error.message()));
    Fd file(::open(real.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
    if (!file) return system_failure(real, errno);
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return system_failure(real, errno);
    if (!S_ISREG(status.st_mode)) return permanent(fmt::format("{}: not a regular file", real));
    auto text = read_at(file, limit + 1, 0);
    if (!text) return failure(text.error());
    if (text->size() > limit) return permanent(fmt::format("{}: larger than {} bytes", real, limit));
    return EditedFile(std::move(real), std::move(*text), status);
}

Result<void> EditedFile::replace(std::string_view text) const {
    const std::string folder = folder_of(path_);
    // A name with a leading dot is left out by `include DIR/*.conf`. What a crash left of it is removed; the
    // lock says that nobody works on it.
    const std::string staged =
        fmt::format("{}/.{}.postrider", folder, std::filesystem::path(path_).filename().string());
    ::unlink(staged.c_str());
    const Fd file(::open(staged.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kPrivate));
    if (!file) return system_failure(staged, errno);
    Result<void> done = write_staged(file, text, status_);
    struct stat now {};
    if (done && (::lstat(path_.c_str(), &now) != 0 || !is_same(now, status_))) {
        done = temporary(fmt::format("{}: somebody else changed it meanwhile", path_));
    }
    if (done && ::rename(staged.c_str(), path_.c_str()) != 0) done = system_failure(path_, errno);
    if (!done) {
        ::unlink(staged.c_str());
        return done;
    }
    // The name, too, must outlive a power cut once we say that the change was made.
    const Fd directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory || ::fsync(directory.get()) != 0) return system_failure(folder, errno);
    return {};
}

}  // namespace postrider::admin
