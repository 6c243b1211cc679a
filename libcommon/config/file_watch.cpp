#include "libcommon/config/file_watch.h"

#include <sys/stat.h>

#include <algorithm>

namespace postrider::config {

FileSet::FileSet(const std::vector<std::string>& paths) {
    for (const auto& path : paths)
        add(path);
}

void FileSet::add(const std::string& path) {
    bool known =
        std::any_of(files_.begin(), files_.end(), [&](const Watched& file) { return file.path == path; });
    if (!known) files_.push_back({path, look(path)});
}

std::vector<std::string> FileSet::changed() {
    std::vector<std::string> paths;
    for (auto& file : files_) {
        State now = look(file.path);
        if (now == file.state) continue;
        file.state = now;
        paths.push_back(file.path);
    }
    return paths;
}

FileSet::State FileSet::look(const std::string& path) {
    // A file that cannot be looked at counts as missing, whatever the reason: its reader will name the
    // reason.
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0) return {};
    State state;
    state.device = found.st_dev;
    state.inode = found.st_ino;
    state.modified_seconds = found.st_mtim.tv_sec;
    state.modified_nanoseconds = found.st_mtim.tv_nsec;
    state.size = found.st_size;
    return state;
}

}  // namespace postrider::config
