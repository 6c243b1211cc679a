#include "router/folder_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>

namespace postrider::router {

namespace {

constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_TO |
                                  IN_MOVED_FROM | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;

}  // namespace

FolderWatch::FolderWatch(async::Loop& loop)
    : inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)), watch_(loop, inotify_.get()) {}

void FolderWatch::add(const std::vector<std::string>& folders) {
    if (!usable()) return;
    for (const std::string& folder : folders) {
        // A folder that is watched already stays so, one that cannot be is looked at in time.
        static_cast<void>(::inotify_add_watch(inotify_.get(), folder.c_str(), kEvents | IN_ONLYDIR));
    }
}

async::Task<void> FolderWatch::wait() {
    co_await watch_.readable();
    drain();
}

void FolderWatch::drain() {
    // What happened is of no interest: a look at all files is cheap.
    alignas(inotify_event) std::array<char, 4096> events{};
    while (::read(inotify_.get(), events.data(), events.size()) > 0) {
    }
}

}  // namespace postrider::router
