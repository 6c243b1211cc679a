// Small files of the spool's own: what the queue has to know after a restart and no message says.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "libcommon/base/file.h"
#include "queue-manager/spool.h"

namespace postrider::queue_manager {

namespace {
constexpr mode_t kNoteMode = 0600;
constexpr std::size_t kMaxNote = std::size_t{16} << 20;
}  // namespace

Result<std::optional<std::string>> Spool::read_note(const std::string& name) const {
    Fd file(::openat(root_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!file && errno == ENOENT) return std::nullopt;
    if (!file) return system_failure(name, errno);
    auto text = read_at(file, kMaxNote, 0);
    if (!text) return failure(std::move(text.error()));
    return std::move(*text);
}

Result<void> Spool::replace_note(const std::string& name, const std::string& text) {
    const std::string staging = name + ".new";
    Fd file(::openat(root_.get(), staging.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                     kNoteMode));
    if (!file) return system_failure(staging, errno);
    auto written = write_all(file, text);
    if (!written) return written;
    // The content before the name: else a power cut could leave the name with half a file.
    if (sync_meter_.sync(file.get()) != 0) return system_failure("fsync " + staging, errno);
    if (::renameat(root_.get(), staging.c_str(), root_.get(), name.c_str()) != 0)
        return system_failure("rename " + staging, errno);
    // And the name, before anyone is told.
    if (sync_meter_.sync(root_.get()) != 0) return system_failure("fsync of the spool", errno);
    return {};
}

}  // namespace postrider::queue_manager
