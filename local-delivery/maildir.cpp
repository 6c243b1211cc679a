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

Maildir::Maildir(std::string path, std::string host, bool make_parents)
    : path_(std::move(path)), host_(host_for_names(std::move(host))), make_parents_(make_parents) {}

Outcome Maildir::prepare() const {
    if (!make_folder(path_, make_parents_)) return system_trouble(path_, errno);
    for (const char* part : {"/tmp", "/new", "/cur"}) {
        const std::string folder = path_ + part;
        if (!make_folder(folder, false)) return system_trouble(folder, errno);
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
    if (!file) return system_trouble(temporary_name, errno);

    int write_errno = 0;
    auto written = message.write_to([&file, &write_errno](std::string_view piece) {
        auto result = write_all(file, piece);
        if (!result) write_errno = errno;
        return result;
    });
    const std::string final_name = path_ + "/new/" + name;
    Outcome outcome = delivered(fmt::format("delivered to {}", path_));
    if (!written && write_errno != 0) {
        outcome = system_trouble(temporary_name, write_errno);
    } else if (!written) {
        outcome = deferred("4.3.0", written.error().text);
    } else if (::fsync(file.get()) != 0) {
        // The content must be on the disk before the name says that a message is there.
        outcome = system_trouble(temporary_name, errno);
    } else if (!still_wanted()) {
        outcome = deferred("4.3.2", "local-delivery has ended");
    } else if (::rename(temporary_name.c_str(), final_name.c_str()) != 0) {
        outcome = system_trouble(final_name, errno);
    } else if (!sync_folder(path_ + "/new")) {
        // It may be there after a crash or not: trying again can only make a duplicate.
        return system_trouble(path_ + "/new", errno);
    }
    if (outcome.ending != Ending::Delivered) static_cast<void>(::unlink(temporary_name.c_str()));
    return outcome;
}

}  // namespace postrider::local_delivery
