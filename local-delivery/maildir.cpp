#include "local-delivery/maildir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "libcommon/base/file.h"

namespace postrider::local_delivery {

namespace {

constexpr mode_t kFolderMode = 0700;

/// mkdir, and its parents where asked. True if the folder exists afterwards.
bool make_folder(const std::string& path, bool with_parents) {
    if (::mkdir(path.c_str(), kFolderMode) == 0 || errno == EEXIST) return true;
    if (errno != ENOENT || !with_parents) return false;
    const std::size_t slash = path.find_last_of('/');
    if (slash == std::string::npos || slash == 0) return false;
    if (!make_folder(path.substr(0, slash), true)) return false;
    return ::mkdir(path.c_str(), kFolderMode) == 0 || errno == EEXIST;
}

/// The new name is durable only when its folder is.
bool sync_folder(const std::string& path) {
    Fd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return folder && ::fsync(folder.get()) == 0;
}

/// '/' cannot stand in a file name, and ':' begins the flags of a Maildir name.
std::string host_for_names(std::string host) {
    std::replace(host.begin(), host.end(), '/', '_');
    std::replace(host.begin(), host.end(), ':', '_');
    return host;
}

}  // namespace

Maildir::Maildir(std::string path, std::string host, bool make_parents, MailboxQuota quota)
    : path_(std::move(path)),
      host_(host_for_names(std::move(host))),
      make_parents_(make_parents),
      quota_(quota) {}

Outcome Maildir::prepare() const {
    if (!make_folder(path_, make_parents_)) return trouble(path_, errno);
    for (const char* part : {"/tmp", "/new", "/cur"}) {
        const std::string folder = path_ + part;
        if (!make_folder(folder, false)) return trouble(folder, errno);
    }
    return delivered("");
}

std::string Maildir::unique_name() {
    // Time, process and a counter: no two deliveries on a host ever share them.
    static unsigned counter = 0;
    timeval now{};
    ::gettimeofday(&now, nullptr);
    return fmt::format("{}.M{}P{}Q{}.{}", now.tv_sec, now.tv_usec, ::getpid(), ++counter, host_);
}

Outcome Maildir::deliver(const MessageText& message, const std::function<bool()>& still_wanted) {
    MaildirSize size(path_, quota_);
    // Into a mailbox without any room nothing need be written first.
    Outcome room = size.admit(1);
    if (room.ending != Ending::Delivered) return room;
    const std::string name = unique_name();
    const std::string temporary_name = path_ + "/tmp/" + name;
    constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    Fd file(::open(temporary_name.c_str(), kFlags, kMailFileMode));
    if (!file && errno == ENOENT) {
        // The first message of this mailbox.
        Outcome prepared = prepare();
        if (prepared.ending != Ending::Delivered) return prepared;
        file = Fd(::open(temporary_name.c_str(), kFlags, kMailFileMode));
    }
    if (!file) return trouble(temporary_name, errno);
    Outcome outcome = fill(file, name, message, still_wanted, size);
    // After the rename there is nothing to remove.
    if (outcome.ending != Ending::Delivered) static_cast<void>(::unlink(temporary_name.c_str()));
    return outcome;
}

Outcome Maildir::fill(const Fd& file, const std::string& name, const MessageText& message,
                      const std::function<bool()>& still_wanted, MaildirSize& size) const {
    const std::string temporary_name = path_ + "/tmp/" + name;
    int write_errno = 0;
    std::uint64_t octets = 0;
    auto written = message.write_to([&file, &write_errno, &octets](std::string_view piece) {
        auto result = write_all(file, piece);
        if (!result) write_errno = errno;
        octets += piece.size();
        return result;
    });
    if (!written && write_errno != 0) return trouble(temporary_name, write_errno);
    if (!written) return deferred("4.3.0", written.error().text);
    Outcome room = size.admit(octets);
    if (room.ending != Ending::Delivered) return room;
    // The content must be on the disk before the name says that a message is there.
    if (::fsync(file.get()) != 0) return trouble(temporary_name, errno);
    if (!still_wanted()) return deferred("4.3.2", "local-delivery has ended");
    // The size in the name, as Courier and Dovecot have it, saves whoever counts the messages a look at each.
    const std::string final_name = fmt::format("{}/new/{},S={}", path_, name, octets);
    if (::rename(temporary_name.c_str(), final_name.c_str()) != 0) return trouble(final_name, errno);
    size.add(octets);
    // Without that it may be there after a crash or not: trying again can only make a duplicate.
    if (!sync_folder(path_ + "/new")) return trouble(path_ + "/new", errno);
    return delivered(fmt::format("delivered to {}", path_));
}

Outcome Maildir::trouble(const std::string& what, int errno_value) const {
    Outcome outcome = system_trouble(what, errno_value);
    // The system's quota is the user's as well; a full disk is not his fault, and nobody's mail is returned.
    if (errno_value == EDQUOT && quota_.fails) outcome = failed("5.2.2", outcome.text);
    return outcome;
}

}  // namespace postrider::local_delivery
